import Glibc
import Support
import Testing

/// `freshet lab check` with real libraries.
@Suite struct CheckCommandTests {
  /// Libraries with planted flaws: the file that other tests link, compiled as a stranger does.
  private static let planted = Result { () throws -> String in
    let folder = Workshop.root + "/.build/planted"
    _ = unsafe mkdir(folder, 0o755)
    let source = String(
      decoding: try contents(of: Workshop.root + "/Tests/LabTests/Planted.swift"),
      as: UTF8.self
    )
    let names = ["Crowded", "Unordered", "Trapping", "Endless"]
    let exports = names.map { name in
      """
      @c(\(name)_plugin) public func \(name.lowercased())() -> plugin_descriptor {
        plugin_describe { Plugin.retained(Planted<\(name)>.self) }
      }
      """
    }
    let path = folder + "/libPlanted.so"
    try Workshop.compileSwift(
      "public import CPluginABI\n" + source + exports.joined(separator: "\n"),
      module: "Planted",
      to: path
    )
    for name in names { try write(try contents(of: path), to: "\(folder)/lib\(name).so") }
    return folder
  }

  private func check(_ name: String, _ seeds: String) throws -> RunResult {
    let folder = try Self.planted.get()
    return try run(built("freshet"), ["lab", "check", "\(folder)/lib\(name).so", "--seeds", seeds])
  }

  @Test func `one child too many is told as a story, with the command that tells it again`() throws {
    let result = try check("Crowded", "1-1")
    #expect(result.status == 1)
    #expect(result.errors.contains("claims that nobody feeds more than fanout=2, and "))
    #expect(result.errors.split(separator: "\n").last?.hasPrefix("freshet: ") == true)
    #expect(result.text.contains("made simpler: ") && result.text.contains(" WRONG: crowded claims"))
    #expect(["3 peers;", "4 peers;"].contains { result.text.contains(" and " + $0) })
    let again = try #require(result.text.split(separator: "\n").last)
    #expect(again.hasPrefix("again: freshet lab check /") && again.hasSuffix("libCrowded.so --seeds 1-1"))
  }

  @Test func `a plugin that ends the process is reported`() throws {
    let result = try check("Trapping", "1-12")
    #expect(result.status == 1)
    #expect(result.errors.contains("the plugin ends the process"), "\(result.errors)")
    #expect(result.text.contains("peer 1"))
  }

  #if !DEBUG
    @Test func `the order of a hash table that leaks into actions is found`() throws {
      let result = try check("Unordered", "1-200")
      #expect(result.status == 1)
      #expect(result.errors.contains("goes another way when hash tables are in another order"))
      print(result.text)
    }

    @Test func `a plugin that does not come back is reported`() throws {
      let result = try check("Endless", "1-40")
      #expect(result.status == 1)
      #expect(result.errors.contains("the plugin does not come back from an event"))
    }
  #endif

  @Test(arguments: [
    (["nosuch"], "there is no topology 'nosuch'"),
    (["tree:fanout=0"], "fanout=0 is not possible"),
    (["./nowhere/libX.so"], "there is no plugin at ./nowhere/libX.so"),
    (["tree", "--seeds", "x"], "--seeds: 'x' is no number of seeds"),
  ]) func `what cannot be checked is one sentence and exit 64`(arguments: [String], reason: String) throws {
    let result = try run(built("freshet"), ["lab", "check"] + arguments)
    #expect(result.status == 64)
    #expect(
      result.errors.contains(reason) && result.errors.split(separator: "\n").count == 1,
      "\(result.errors)"
    )
  }
}
