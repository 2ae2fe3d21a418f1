import CPluginABI
import Glibc
import Support

/// Builds plugins, good and bad ones, with the compilers that built the tests.
enum Workshop {
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// The folder of the package.
  static let root: String = {
    var parts = #filePath.split(separator: "/")
    parts.removeLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// Where the tests lie, and beside them the built-in plugins.
  static let products: String = {
    let path = CommandLine.arguments[0]
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }()

  /// The sample package as a stranger builds it, once for all tests: a folder with libStar.so and a libPluginKit.so of
  /// its own.
  static func sample() throws -> String { try built.get() }

  private static let built = Result<String, Failure> {
    () throws(Failure) in
    let scratch = "\(root)/.build/sample-plugin"
    let arguments = ["build", "--package-path", "\(root)/Tests/SamplePlugin", "--scratch-path", scratch]
    try check("swift", arguments)
    return scratch + "/debug"
  }

  /// Compiles C to a shared library.
  static func compileC(_ source: String, to path: String, _ flags: [String] = []) throws(Failure) {
    try write(source, to: path + ".c")
    try check(clang, ["-shared", "-fPIC", "-o", path, path + ".c"] + flags)
  }

  /// A plugin in C whose `create` ends the process.
  static func compileC(
    plugin name: String,
    generation: UInt32 = plugin_abi_generation,
    toolchain: String? = hostToolchain,
    create: String = "abort_now",
    to path: String
  ) throws(Failure) {
    let quoted = toolchain.map { "\"\($0)\"" } ?? "0"
    try compileC(
      """
      #include <stdint.h>
      #include <stdlib.h>
      typedef struct { uint32_t generation; const char *toolchain; void *(*create)(void); } descriptor;
      static void *abort_now(void) { abort(); }
      static void *nothing(void) { return NULL; }
      descriptor \(name)_plugin(void) { return (descriptor){\(generation), \(quoted), \(create)}; }
      void *used_\(name)[] = {(void *)abort_now, (void *)nothing};
      """,
      to: path
    )
  }

  /// Compiles Swift that uses PluginKit to a shared library.
  static func compileSwift(_ source: String, module: String, to path: String) throws {
    let kit = try sample()
    try write(source, to: path + ".swift")
    try check(
      "swiftc",
      [
        "-emit-library", "-module-name", module, "-swift-version", "6", "-o", path, path + ".swift",
        "-I", kit + "/Modules", "-Xcc", "-fmodule-map-file=\(kit)/CPluginABI.build/module.modulemap",
        "-L", kit, "-lPluginKit",
      ]
    )
  }

  static var hostToolchain: String {
    let host = unsafe plugin_describe { preconditionFailure("not a plugin") }
    return unsafe String(cString: host.toolchain)
  }

  /// The libraries of a name that are mapped into this process.
  static func mapped(_ file: String) throws -> Set<String> {
    let lines = String(decoding: try contents(of: "/proc/self/maps"), as: UTF8.self).split(separator: "\n")
    return Set(lines.compactMap { $0.split(separator: " ").last.map(String.init) })
      .filter { $0.hasSuffix("/" + file) }
  }

  private static let clang: String = {
    let found = try? run("sh", ["-c", "dirname \"$(readlink -f \"$(command -v swift)\")\""])
    let beside = (found?.text.split(separator: "\n").first.map(String.init) ?? "") + "/clang"
    return unsafe access(beside, X_OK) == 0 ? beside : "cc"
  }()

  private static func write(_ text: String, to path: String) throws(Failure) {
    do { try Support.write(Array(text.utf8), to: path) } catch { throw Failure(description: "\(error)") }
  }

  private static func check(_ program: String, _ arguments: [String]) throws(Failure) {
    let result: RunResult
    do { result = try run(program, arguments) } catch { throw Failure(description: "\(error)") }
    guard result.status == 0 else {
      throw Failure(
        description: "\(program) \(arguments.joined(separator: " "))\n\(result.text)\(result.errors)"
      )
    }
  }
}
