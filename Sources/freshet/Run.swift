import Glibc
import Integrity
import Node
import PluginKit
import Swarm

/// Where the command hands over to a running peer.
enum Run {
  /// Broadcasts until the input ends, the time is over or a signal comes.
  static func broadcast(_ options: BroadcastOptions, control: String) throws {
    let plugins = try registry(options.common.plugins)
    // A wrong name or parameter is the user's, and is said before anything is opened.
    _ = try made { () throws(PluginError) in
      try plugins.topology(options.topology.name, options.topology.parameters)
    }
    var settings = BroadcastSettings(
      input: options.input,
      node: try node(options.transport, plugins, options.common)
    )
    settings.key = options.key
    settings.authority = options.authority
    settings.topology = options.topology.name
    settings.topologyParameters = options.topology.parameters
    settings.listen = options.listen.endpoint
    settings.takesAnyPort = !options.listenIsGiven
    settings.window = options.window
    settings.chunkSize = options.chunkSize
    settings.loops = options.loops
    settings.integrity = options.integrity.method
    settings.chunksPerSignature = options.integrity.chunksPerSignature
    settings.addressing = options.addressing
    settings.archive = options.keep
    settings.control = control
    var reporter = try Reporter(isSource: true, options.common)
    try Broadcast.run(settings) { reporter.take($0) }
  }

  /// Takes part in a stream until it ends, the time is over or a signal comes.
  static func join(_ options: JoinOptions) throws {
    if options.output == .standardOutput, isatty(STDOUT_FILENO) == 1 {
      throw UsageError(
        "--output - would fill the terminal with video; pipe it: freshet join … --output - | mpv -"
      )
    }
    let plugins = try registry(options.common.plugins)
    let transport = PluginChoice(name: options.listen?.transport ?? "udp")
    var settings = JoinSettings(
      link: options.link,
      node: try node(transport, plugins, options.common, peers: options.link.endpoints)
    )
    switch options.output {
    case .standardOutput: settings.outputs.append(.standardOutput)
    case .file(let path): settings.outputs.append(.file(path))
    case nil: break
    }
    if let path = options.keep { settings.outputs.append(.archive(path)) }
    if options.plays { settings.outputs.append(.player) }
    settings.membership = try options.membership?.load(for: options.link)
    settings.relays = options.relays
    settings.listen = options.listen?.endpoint
    var reporter = try Reporter(isSource: false, options.common)
    try Join.run(settings) { reporter.take($0) }
  }

  /// The plugins that can be used: the built-in ones, those of `FRESHET_PLUGIN_PATH` and `libraries`.
  ///
  /// Throws `UsageError` for a library that cannot be loaded.
  static func plugins(libraries: [String]) throws -> [PluginList.Row] {
    let plugins = try registry(libraries)
    for refusal in plugins.refusals { _ = Descriptor.write("freshet: \(refusal)\n", to: STDERR_FILENO) }
    return plugins.plugins.map { plugin in
      PluginList.Row(
        kind: plugin.kind,
        manifest: plugin.manifest,
        generation: plugin.generation,
        path: plugin.path
      )
    }
  }

  /// What the Lab needs of the plugins.
  static func topologies(_ libraries: [String]) throws(UsageError) -> LabTopologies {
    let plugins = try registry(libraries)
    let found = plugins.plugins.filter { $0.kind == "topology" }
    return LabTopologies(
      make: { name, parameters throws(ParameterError) in
        do throws(PluginError) {
          return try plugins.topology(name, parameters)
        } catch {
          throw ParameterError(error.description)
        }
      },
      versions: Dictionary(
        found.map { ($0.manifest.name, $0.manifest.version) },
        uniquingKeysWith: { first, _ in first }
      )
    )
  }

  static func node(
    _ transport: PluginChoice,
    _ plugins: PluginRegistry,
    _ options: CommonOptions,
    peers: [Swarm.Link.Endpoint] = []
  ) throws(UsageError) -> NodeSettings {
    let parameters = peers.isEmpty ? "" : "peers=" + peers.map(\.description).joined(separator: "+")
    var settings = NodeSettings(
      transport: try made { () throws(PluginError) in
        try plugins.transport(transport.name, transport.parameters)
      },
      discovery: try made { () throws(PluginError) in try plugins.discovery("static", parameters) },
      makeTopology: { name, parameters throws(ParameterError) in
        do throws(PluginError) {
          return try plugins.topology(name, parameters)
        } catch {
          throw ParameterError(error.description)
        }
      }
    )
    settings.advertised = options.advertised
    settings.maxUpload = options.maxUpload
    settings.duration = options.duration
    settings.patience = options.patience
    settings.chunkTimes = options.chunkTimes
    settings.eventLog = options.eventLog
    return settings
  }

  static func registry(_ libraries: [String]) throws(UsageError) -> PluginRegistry {
    try made { () throws(PluginError) in try PluginRegistry.standard(files: libraries) }
  }

  private static func made<Value>(
    _ body: () throws(PluginError) -> Value
  ) throws(UsageError) -> Value {
    do throws(PluginError) { return try body() } catch { throw UsageError(error.description) }
  }
}
