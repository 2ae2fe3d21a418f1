internal import Glibc
package import PluginKit

/// The plugins that one host can use.
///
/// Those that come with the program are found beside its executable and loaded like any stranger's.
package struct PluginRegistry: Sendable {
  // More files than this in one folder are not looked at.
  private static let folderLimit = 4096

  /// In the order in which they were loaded.
  package private(set) var plugins: [LoadedPlugin] = []
  /// Why plugins beside the executable were not taken; they harm only who asks for them.
  package private(set) var refusals: [PluginError] = []

  package init() {}

  /// Loads what lies beside the executable, in the folders of `searchPath` and in `files`.
  ///
  /// - Parameters:
  ///   - files: As the user gave them with `--plugin`.
  ///   - searchPath: Folders, separated by colons.
  /// - Returns: At least the built-in plugins that can be used.
  /// - Throws: Why a plugin that the user named, or put into a folder of plugins, cannot be used.
  package static func standard(
    files: [String] = [],
    searchPath: String = environment
  ) throws(PluginError) -> PluginRegistry {
    var registry = PluginRegistry()
    if let home = executableFolder() { registry.loadBuiltIn(home) }
    for folder in searchPath.split(separator: ":") { try registry.load(folder: String(folder)) }
    for file in files { try registry.load(file) }
    return registry
  }

  /// What `FRESHET_PLUGIN_PATH` says.
  package static var environment: String {
    unsafe getenv("FRESHET_PLUGIN_PATH").map { unsafe String(cString: $0) } ?? ""
  }

  /// Loads a plugin's file, unless it is loaded already.
  ///
  /// - Throws: Why it cannot be used; also when there is a plugin of this kind and name.
  package mutating func load(_ path: String) throws(PluginError) {
    let identity = try LibraryFile.open(path).identity
    guard !plugins.contains(where: { $0.identity == identity }) else { return }
    let loaded = try PluginLoader.load(path)
    let manifest = loaded.manifest
    if let other = find(loaded.kind, manifest.name) {
      throw .taken(kind: loaded.kind, name: manifest.name, path: path, by: other.path)
    }
    plugins.append(loaded)
  }

  /// Loads every plugin in a folder: the files `lib<Name>.so` that have the function `<Name>_plugin`.
  package mutating func load(folder: String) throws(PluginError) {
    for path in try Self.libraries(in: folder) where try PluginLoader.isCandidate(path) { try load(path) }
  }

  /// As ``load(folder:)``, but what cannot be used goes to ``refusals``.
  package mutating func loadBuiltIn(_ folder: String) {
    do throws(PluginError) {
      for path in try Self.libraries(in: folder) {
        // Whatever else lies there, as a library of FFmpeg, is no matter.
        guard (try? PluginLoader.isCandidate(path)) == true else { continue }
        do throws(PluginError) { try load(path) } catch { refusals.append(error) }
      }
    } catch {
      refusals.append(error)
    }
  }

  // MARK: Looking up

  /// Makes a topology; the parameters are written as `name=value,…`.
  ///
  /// - Throws: ``PluginError/unknown(kind:name:known:refusals:)``, ``PluginError/badParameters(kind:name:reason:)``.
  package func topology(_ name: String, _ parameters: String = "") throws(PluginError) -> any Topology {
    let type = try topologyType(name)
    return try make("topology", name, parameters, type.manifest) { values throws(ParameterError) in
      try type.init(parameters: values)
    }
  }

  /// Makes a transport; as ``topology(_:_:)``.
  package func transport(_ name: String, _ parameters: String = "") throws(PluginError) -> any Transport {
    let type = try transportType(name)
    return try make("transport", name, parameters, type.manifest) { values throws(ParameterError) in
      try type.init(parameters: values)
    }
  }

  /// Makes a discovery; as ``topology(_:_:)``.
  package func discovery(_ name: String, _ parameters: String = "") throws(PluginError) -> any Discovery {
    let type = try discoveryType(name)
    return try make("discovery", name, parameters, type.manifest) { values throws(ParameterError) in
      try type.init(parameters: values)
    }
  }

  package func topologyType(_ name: String) throws(PluginError) -> any Topology.Type {
    guard case .topology(let type)? = find("topology", name)?.plugin.offer else {
      throw unknown("topology", name)
    }
    return type
  }

  package func transportType(_ name: String) throws(PluginError) -> any Transport.Type {
    guard case .transport(let type)? = find("transport", name)?.plugin.offer else {
      throw unknown("transport", name)
    }
    return type
  }

  package func discoveryType(_ name: String) throws(PluginError) -> any Discovery.Type {
    guard case .discovery(let type)? = find("discovery", name)?.plugin.offer else {
      throw unknown("discovery", name)
    }
    return type
  }

  /// The plugin of this kind and name.
  package func find(_ kind: String, _ name: String) -> LoadedPlugin? {
    plugins.first { $0.kind == kind && $0.manifest.name == name }
  }

  /// The names of a kind, in alphabetical order.
  package func names(_ kind: String) -> [String] {
    plugins.filter { $0.kind == kind }.map(\.manifest.name).sorted()
  }

  private func unknown(_ kind: String, _ name: String) -> PluginError {
    .unknown(kind: kind, name: name, known: names(kind), refusals: refusals.map(\.description))
  }

  private func make<Value>(
    _ kind: String,
    _ name: String,
    _ parameters: String,
    _ manifest: Manifest,
    _ body: (Parameters) throws(ParameterError) -> Value
  ) throws(PluginError) -> Value {
    do {
      return try body(Parameters(parameters, declared: manifest.parameters))
    } catch {
      throw .badParameters(kind: kind, name: name, reason: error.description)
    }
  }

  // MARK: Folders

  /// The paths of the files in a folder that may be plugins, in alphabetical order.
  private static func libraries(in folder: String) throws(PluginError) -> [String] {
    guard let stream = unsafe opendir(folder) else {
      throw .unreadableFolder(path: folder, reason: systemReason(errno))
    }
    defer { unsafe closedir(stream) }
    var paths: [String] = []
    var count = 0
    while count < folderLimit, let entry = unsafe readdir(stream) {
      count += 1
      let file = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
        unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
      }
      if PluginLoader.name(of: file) != nil { paths.append(folder + "/" + file) }
    }
    return paths.sorted()
  }

  /// Where the executable of this process lies.
  private static func executableFolder() -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.lastIndex(of: "/").map { String(path[..<$0]) }
  }
}
