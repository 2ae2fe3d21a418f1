package import Swarm
package import Wire

/// A plugin by its name, and its parameters as they were written.
package struct PluginChoice: Hashable, Sendable {
  package var name: String
  /// `name=value,…`, not yet checked against the plugin's manifest.
  package var parameters: String

  package init(name: String, parameters: String = "") {
    self.name = name
    self.parameters = parameters
  }
}

/// Where to listen.
package struct ListenAddress: Hashable, Sendable {
  /// The plugin that the scheme named, if there was one.
  package var transport: String?
  /// Its port is 0 where any free one will do.
  package var endpoint: Link.Endpoint
}

/// Where a viewer writes the stream.
package enum Output: Hashable, Sendable {
  case standardOutput
  case file(String)
}

/// How much is printed.
package enum Verbosity: Hashable, Sendable {
  case quiet
  case normal
  case verbose
}

/// What broadcaster and viewer have in common.
package struct CommonOptions: Hashable, Sendable {
  /// Libraries to load beside the built-in plugins.
  package var plugins: [String]
  package var statistics: String?
  package var duration: Duration?
  /// Bits per second; nil without a cap.
  package var maxUpload: UInt64?
  package var patience: Duration?
  package var chunkTimes: String?
  package var eventLog: String?
  /// Where others reach this peer, if not where it listens; port 0 stands for the one that is listened at.
  package var advertised: [Link.Endpoint]
  package var verbosity: Verbosity

  init(_ values: Values) throws(UsageError) {
    plugins = try values.all(Settings.plugin)
    statistics = try values.optional(Settings.stats)
    duration = try values.optional(Settings.duration)
    maxUpload = try values.optional(Settings.maxUpload)
    patience = try values.optional(Settings.patience)
    chunkTimes = try values.optional(Settings.chunkTimes)
    eventLog = try values.optional(Settings.recordEvents)
    advertised = try values.optional(Settings.advertise) ?? []
    switch (try values.isOn(Settings.quiet), try values.isOn(Settings.verbose)) {
    case (true, true): throw UsageError("--quiet and --verbose exclude each other; leave one out")
    case (true, false): verbosity = .quiet
    case (false, true): verbosity = .verbose
    case (false, false): verbosity = .normal
    }
  }
}

/// All that `freshet broadcast` was asked for.
package struct BroadcastOptions: Hashable, Sendable {
  package var input: String
  package var listen: ListenAddress
  /// Whether the user said where to listen; else another port may be taken.
  package var listenIsGiven: Bool
  package var topology: PluginChoice
  package var transport: PluginChoice
  /// The key file; nil for a key that is made for this broadcast only.
  package var key: String?
  /// The folder of the authority whose members alone are answered.
  package var authority: String?
  package var integrity: IntegrityChoice
  package var addressing: ChunkAddressing
  package var keep: String?
  package var window: Duration
  /// A multiple of 188, or `WireFormat.variableChunkSize`.
  package var chunkSize: Int
  package var loops: Bool
  package var common: CommonOptions

  init(_ values: Values) throws(UsageError) {
    input = values.operands[0]
    guard !input.isEmpty, !input.utf8.contains(0) else {
      throw UsageError("the input has no name; give a file, an address or - for standard input")
    }
    listen = try values.value(Settings.listen)
    listenIsGiven = try values.optional(Settings.listen) != nil
    topology = try values.value(Settings.topology)
    let chosen = try values.optional(Settings.transport)
    if let scheme = listen.transport, let chosen, chosen.name != scheme, listenIsGiven {
      throw UsageError(
        "--listen says \(scheme)://, but --transport says \(chosen.name); leave one of them out"
      )
    }
    if let chosen {
      transport = chosen
      listen.transport = chosen.name
    } else {
      transport = try values.value(Settings.transport)
      if let scheme = listen.transport { transport = PluginChoice(name: scheme) }
    }
    key = try values.optional(Settings.key)
    authority = try values.optional(Settings.authority)
    if authority != nil, key == nil {
      throw UsageError("--ca needs --key FILE: members have certificates for the stream of one key")
    }
    integrity = try values.value(Settings.integrity)
    addressing = try values.value(Settings.addressing)
    keep = try values.optional(Settings.keep)
    window = try values.value(Settings.window)
    chunkSize = try values.value(Settings.chunkSize)
    guard chunkSize != WireFormat.variableChunkSize || addressing != .byteRanges64 else {
      throw UsageError(
        "--chunk-size variable and --addressing byte-ranges-64 exclude each other: chunks are found by their bytes "
          + "only where they have one size"
      )
    }
    loops = try values.isOn(Settings.loop)
    common = try CommonOptions(values)
  }
}

/// All that `freshet join` was asked for.
package struct JoinOptions: Hashable, Sendable {
  package var link: Link
  package var output: Output?
  package var keep: String?
  package var plays: Bool
  package var relays: Bool
  /// Where to listen; nil for any free port of the family that the link's host has.
  package var listen: ListenAddress?
  package var membership: MembershipFiles?
  package var common: CommonOptions

  init(_ values: Values) throws(UsageError) {
    link = try Read.link(values.operands[0])
    guard link.swarmID != nil else {
      throw UsageError("this is the link of a file, not of a stream; write: freshet fetch '\(link)'")
    }
    output = try values.optional(Settings.output)
    keep = try values.optional(Settings.keep)
    plays = try values.isOn(Settings.play)
    relays = try !values.isOn(Settings.noRelay)
    listen = try values.optional(Settings.listenAsViewer)
    membership = try MembershipFiles(values)
    common = try CommonOptions(values)
    guard relays || plays || output != nil || keep != nil else {
      throw UsageError("with --no-relay there is nothing to do: add --play or --output FILE, or leave it out")
    }
  }
}

/// How the chunks of a stream are protected.
package struct IntegrityChoice: Hashable, Sendable {
  package var method: IntegrityMethod
  /// How many chunks a signature covers; nil for what suits the stream's rate.
  package var chunksPerSignature: Int?

  package init(method: IntegrityMethod, chunksPerSignature: Int? = nil) {
    self.method = method
    self.chunksPerSignature = chunksPerSignature
  }
}
