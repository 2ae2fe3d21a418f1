import Node

/// Where the command hands over to a running peer.
enum Run {
  /// Broadcasts until the input ends, the time is over or a signal comes.
  static func broadcast(_ options: BroadcastOptions) throws {
    throw CommandError("broadcasting is not built yet")
  }

  /// Takes part in a stream until it ends, the time is over or a signal comes.
  static func join(_ options: JoinOptions) throws {
    throw CommandError("joining is not built yet")
  }

  /// The plugins that can be used: the built-in ones, those of `FRESHET_PLUGIN_PATH` and `libraries`.
  ///
  /// Throws `UsageError` for a library that cannot be loaded.
  static func plugins(libraries: [String]) throws -> [PluginList.Row] {
    throw CommandError("plugins are not loaded yet")
  }
}
