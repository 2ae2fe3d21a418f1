internal import Inspect
package import Swarm

/// All that `freshet inspect` was asked for.
package struct InspectOptions: Hashable, Sendable {
  /// Where the datagrams come from.
  package enum Input: Hashable, Sendable {
    /// A file, or `-` for standard input.
    case file(String)
    /// A network interface that is watched.
    case interface(String, port: UInt16)
  }

  package var input: Input
  package var link: Swarm.Link?
  /// Only datagrams from or to this port.
  package var port: UInt16?
  package var channel: UInt32?
  /// Names of messages; nil for all.
  package var only: [String]?
  package var isJSON: Bool
  package var isQuiet: Bool
  package var showsBytes: Bool

  init(_ values: Values) throws(UsageError) {
    port = try values.optional(Settings.port)
    let interface = try values.optional(Settings.interface)
    switch (values.operands.first, port) {
    case (let file?, _):
      guard interface == nil else {
        throw UsageError("--interface is for watching; leave it out, or leave out \(file)")
      }
      guard !file.isEmpty, !file.utf8.contains(0) else { throw UsageError("the capture has no name") }
      input = .file(file)
    case (nil, let port?): input = .interface(interface ?? "any", port: port)
    case (nil, nil):
      throw UsageError(
        "'inspect' needs a capture file, - for standard input, or --port \(Swarm.Link.defaultPort) to watch that port"
      )
    }
    link = try values.optional(Settings.link)
    channel = try values.optional(Settings.channel)
    only = try values.optional(Settings.only)
    isJSON = try values.isOn(Settings.json)
    isQuiet = try values.isOn(Settings.summaryOnly)
    showsBytes = try values.isOn(Settings.hex)
  }

  /// What of the capture is shown.
  var filter: Filter {
    // The names were checked when they were read.
    only.flatMap { try? Filter(channel: channel, only: $0) } ?? Filter(channel: channel)
  }
}
