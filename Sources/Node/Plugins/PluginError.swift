/// Why a plugin cannot be used, as one sentence for the user.
package enum PluginError: Error, Hashable, CustomStringConvertible {
  case missing(path: String)
  case unreadable(path: String, reason: String)
  case notALibrary(path: String, reason: String)
  case misnamed(path: String)
  /// `others`: the functions in it that a plugin of another file name would have.
  case missingSymbol(String, path: String, others: [String])
  case cannotLoad(path: String, reason: String)
  case otherGeneration(path: String, plugin: UInt32, host: UInt32)
  case otherCompiler(path: String, plugin: String, host: String)
  case notAPlugin(path: String)
  case badManifest(path: String, reason: String)
  case taken(kind: String, name: String, path: String, by: String)
  case unreadableFolder(path: String, reason: String)
  case unknown(kind: String, name: String, known: [String], refusals: [String])
  case badParameters(kind: String, name: String, reason: String)

  package var description: String {
    switch self {
    case .missing(let path):
      return "there is no plugin at \(path): the file does not exist"
    case .unreadable(let path, let reason):
      return "cannot read the plugin \(path): \(reason)"
    case .notALibrary(let path, let reason):
      return "\(path) is no plugin: \(reason)"
    case .misnamed(let path):
      return "\(path) is no plugin: the file of a plugin is called lib<Name>.so, as in libTree.so"
    case .missingSymbol(let symbol, let path, let others):
      let hint =
        others.isEmpty
        ? "" : ", only \(others.joined(separator: ", ")); call it \(Self.fileNames(of: others))"
      return "\(path) is no plugin: it exports no function \(symbol)\(hint)"
    case .cannotLoad(let path, let reason):
      return "cannot load the plugin \(path): \(reason)"
    case .otherGeneration(let path, let plugin, let host):
      return "the plugin \(path) speaks generation \(plugin) of the plugin interface and this freshet "
        + "generation \(host): build it again with this freshet's PluginKit"
    case .otherCompiler(let path, let plugin, let host):
      return "the plugin \(path) was built with another compiler, '\(plugin)', and this freshet with "
        + "'\(host)': build it again with that"
    case .notAPlugin(let path):
      return "\(path) is no plugin: what it makes is no Plugin of the libPluginKit.so that this freshet uses"
    case .badManifest(let path, let reason):
      return "the plugin \(path) says something impossible about itself: \(reason)"
    case .taken(let kind, let name, let path, let other):
      return "the plugin \(path) is a second \(kind) called '\(name)': \(other) is one already"
    case .unreadableFolder(let path, let reason):
      return "cannot look for plugins in \(path): \(reason)"
    case .unknown(let kind, let name, let known, let refusals):
      let list =
        switch known.count {
        case 0: "there is none at all"
        case 1: "there is only \(known[0])"
        default: "there are only \(known.dropLast().joined(separator: ", ")) and \(known[known.count - 1])"
        }
      let hints = refusals.map { " (\($0))" }.joined()
      return "there is no \(kind) '\(name)': \(list)\(hints)"
    case .badParameters(let kind, let name, let reason):
      return "the \(kind) '\(name)' cannot be made so: \(reason)"
    }
  }

  private static func fileNames(of symbols: [String]) -> String {
    symbols.map { "lib\($0.dropLast(LibraryFile.suffix.count)).so" }.joined(separator: " or ")
  }
}
