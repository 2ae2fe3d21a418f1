import Glibc
import Node
import Swarm

// Files instead of streams.
extension Run {
  /// Serves files until the time is over or a signal comes.
  static func seed(_ options: SeedOptions) throws {
    let plugins = try registry(options.common.plugins)
    let transport = PluginChoice(name: options.listen.transport ?? "udp")
    var settings = SeedSettings(files: options.files, node: try node(transport, plugins, options.common))
    settings.listen = options.listen.endpoint
    settings.takesAnyPort = !options.listenIsGiven
    settings.chunkSize = options.chunkSize
    settings.function = options.hash
    settings.addressing = options.addressing
    settings.authority = options.authority
    var reporter = try Reporter(isSource: true, options.common)
    try Seed.run(settings) { reporter.take($0) }
  }

  /// Fetches a file until it is complete, the time is over or a signal comes.
  static func fetch(_ options: FetchOptions) throws {
    if options.output == .standardOutput, isatty(STDOUT_FILENO) == 1 {
      throw UsageError(
        "--output - would fill the terminal with the file; pipe it: freshet fetch … --output - | mpv -"
      )
    }
    let plugins = try registry(options.common.plugins)
    let transport = PluginChoice(name: options.listen?.transport ?? "udp")
    let output: FetchSettings.Output =
      switch options.output {
      case .file(let path): .file(path)
      case .standardOutput: .standardOutput
      }
    var settings = FetchSettings(
      link: options.link,
      output: output,
      node: try node(transport, plugins, options.common, peers: options.link.endpoints)
    )
    settings.order = options.isInOrder ? .inOrder : .rarestFirst
    settings.plays = options.plays
    settings.membership = try options.membership?.load(for: options.link)
    settings.seeds = options.seeds
    settings.listen = options.listen?.endpoint
    var reporter = try Reporter(isSource: false, options.common)
    try Fetch.run(settings) { reporter.take($0) }
  }
}
