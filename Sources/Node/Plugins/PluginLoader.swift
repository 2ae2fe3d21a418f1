internal import CPluginABI
internal import Glibc
package import PluginKit

/// A plugin that was loaded, and what it says about itself.
package struct LoadedPlugin: Sendable {
  package let plugin: Plugin
  /// As ``Plugin/manifest``, read once and found to be possible.
  package let manifest: Manifest
  /// The generation of the plugin interface that it was built with.
  package let generation: UInt32
  package let path: String
  let identity: FileIdentity

  /// `topology`, `transport` or `discovery`.
  package var kind: String { plugin.kind }
}

/// Turns shared libraries into plugins.
package enum PluginLoader {
  private typealias Describe = @convention(c) () -> plugin_descriptor

  /// The generation of the plugin interface that this host speaks.
  package static var generation: UInt32 { plugin_abi_generation }

  /// Loads the file of a plugin, `lib<Name>.so`; it stays mapped until the process ends.
  ///
  /// Only the C function `<Name>_plugin` runs before generation and compiler have been compared.
  package static func load(_ path: String) throws(PluginError) -> LoadedPlugin {
    let file = try LibraryFile.open(path)
    let symbols = try file.pluginSymbols()
    guard let name = name(of: path) else { throw .misnamed(path: path) }
    let symbol = name + LibraryFile.suffix
    // A linker may keep a name as the end of a longer one, so this only sorts out; dlsym decides.
    guard symbols.contains(where: { $0.hasSuffix(symbol) }) else {
      let others = symbols.filter { $0.utf8.allSatisfy(\.isIdentifier) }.prefix(4)
      throw .missingSymbol(symbol, path: path, others: Array(others))
    }
    // A name without a slash would be looked for in the system's folders.
    let place = path.contains("/") ? path : "./" + path
    guard let library = unsafe dlopen(place, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) else {
      throw .cannotLoad(path: path, reason: linkerReason())
    }
    guard let address = unsafe dlsym(library, symbol) else {
      throw .missingSymbol(symbol, path: path, others: [])
    }
    let descriptor = unsafe unsafeBitCast(address, to: Describe.self)()
    let host = unsafe plugin_describe { preconditionFailure("the host is no plugin") }
    guard unsafe descriptor.generation == host.generation else {
      throw unsafe .otherGeneration(path: path, plugin: descriptor.generation, host: host.generation)
    }
    let compilers = unsafe (text(descriptor.toolchain), text(host.toolchain))
    guard compilers.0 == compilers.1 else {
      throw .otherCompiler(path: path, plugin: compilers.0, host: compilers.1)
    }
    // The header promises that neither is null, but a plugin may be written in anything.
    guard unsafe unsafeBitCast(descriptor.create, to: UInt.self) != 0,
      case let object = unsafe descriptor.create(), UInt(bitPattern: object) != 0,
      let plugin = unsafe Unmanaged<AnyObject>.fromOpaque(object).takeRetainedValue() as? Plugin
    else { throw .notAPlugin(path: path) }
    let manifest = plugin.manifest
    if let reason = manifest.problem(kind: plugin.kind) { throw .badManifest(path: path, reason: reason) }
    return LoadedPlugin(
      plugin: plugin,
      manifest: manifest,
      generation: unsafe descriptor.generation,
      path: path,
      identity: file.identity
    )
  }

  /// Whether a file in a folder is there to be loaded: it is a library that has its plugin function.
  ///
  /// - Throws: For a file of a plugin's name that is no library at all.
  static func isCandidate(_ path: String) throws(PluginError) -> Bool {
    guard let name = name(of: path) else { return false }
    let symbol = name + LibraryFile.suffix
    return try LibraryFile.open(path).pluginSymbols().contains { $0.hasSuffix(symbol) }
  }

  /// The name in `lib<Name>.so`.
  static func name(of path: String) -> String? {
    let file = path.split(separator: "/").last ?? ""
    guard file.hasPrefix("lib"), file.hasSuffix(".so"), file.utf8.count > 6 else { return nil }
    let name = file.dropFirst(3).dropLast(3)
    return name.utf8.allSatisfy(\.isIdentifier) ? String(name) : nil
  }

  /// What a descriptor says, at most 256 bytes.
  private static func text(_ start: UnsafePointer<CChar>) -> String {
    guard UInt(bitPattern: start) != 0 else { return "" }
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: strnlen(start, 256))
    return unsafe String(decoding: bytes, as: UTF8.self)
  }

  /// What the system's loader said, without the path that our own sentence names already.
  private static func linkerReason() -> String {
    guard let reason = unsafe dlerror().map({ unsafe String(cString: $0) }) else {
      return "the system gave no reason"
    }
    return reason.split(separator: "\n").joined(separator: " ")
  }
}
