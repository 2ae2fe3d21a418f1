import Glibc
import Node
import PluginKit
import Support
import Testing

@Suite struct BrokenPluginTests {
  /// The sentence that loading a file ends with.
  func refusal(_ path: String) -> String? {
    do throws(PluginError) {
      _ = try PluginLoader.load(path)
      return nil
    } catch {
      return error.description
    }
  }

  @Test func `another generation is one sentence, and nothing of the plugin runs`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libOld.so")
    let host = PluginLoader.generation
    try Workshop.compileC(plugin: "Old", generation: host + 7, toolchain: "other", to: path)
    #expect(
      refusal(path)
        == "the plugin \(path) speaks generation \(host + 7) of the plugin interface and this freshet "
        + "generation \(host): build it again with this freshet's PluginKit"
    )
  }

  @Test func `another compiler is one sentence, and nothing of the plugin runs`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libForeign.so")
    try Workshop.compileC(plugin: "Foreign", toolchain: "clang 3.1", to: path)
    #expect(
      refusal(path)
        == "the plugin \(path) was built with another compiler, 'clang 3.1', and this freshet with "
        + "'\(Workshop.hostToolchain)': build it again with that"
    )
    let unknown = folder.file("libUnknown.so")
    try Workshop.compileC(plugin: "Unknown", toolchain: nil, to: unknown)
    #expect(refusal(unknown)?.contains("was built with another compiler, ''") == true)
  }

  @Test func `a plugin that makes nothing is one sentence`() throws {
    let folder = try TemporaryDirectory()
    for (name, create) in [("Nothing", "nothing"), ("Null", "0")] {
      let path = folder.file("lib\(name).so")
      try Workshop.compileC(plugin: name, create: create, to: path)
      #expect(
        refusal(path)
          == "\(path) is no plugin: what it makes is no Plugin of the libPluginKit.so that this freshet uses"
      )
    }
  }

  @Test func `an object that is no plugin, and a manifest that is nonsense, are one sentence each`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libThing.so")
    try Workshop.compileSwift(
      """
      public import CPluginABI
      import PluginKit
      final class Thing {}
      @c(Thing_plugin) public func thing() -> plugin_descriptor {
        plugin_describe { Unmanaged.passRetained(Thing()).toOpaque() }
      }
      struct Spaced: Topology {
        static let manifest = Manifest(name: "my star", version: "1", summary: "No name for a command line")
        init(parameters: Parameters) {}
        mutating func handle(_ event: TopologyEvent, _ context: inout TopologyContext) {}
      }
      @c(Spaced_plugin) public func spaced() -> plugin_descriptor {
        plugin_describe { Plugin.retained(Spaced.self) }
      }
      """,
      module: "Thing",
      to: path
    )
    #expect(
      refusal(path)
        == "\(path) is no plugin: what it makes is no Plugin of the libPluginKit.so that this freshet uses"
    )
    let spaced = folder.file("libSpaced.so")
    try write(try contents(of: path), to: spaced)
    #expect(
      refusal(spaced)
        == "the plugin \(spaced) says something impossible about itself: the name 'my star' is not made of "
        + "at most 32 lower-case letters, digits and hyphens"
    )
  }

  @Test func `a library without the function is one sentence`() throws {
    let folder = try TemporaryDirectory()
    let plain = folder.file("libPlain.so")
    try Workshop.compileC("int answer(void) { return 42; }", to: plain)
    #expect(refusal(plain) == "\(plain) is no plugin: it exports no function Plain_plugin")
    let renamed = folder.file("libSun.so")
    try write(try contents(of: try Workshop.sample() + "/libStar.so"), to: renamed)
    #expect(
      refusal(renamed)
        == "\(renamed) is no plugin: it exports no function Sun_plugin, only Star_plugin; call it libStar.so"
    )
    // It uses the function of somebody else.
    let user = folder.file("libUser.so")
    try Workshop.compileC("void User_plugin(void); void *used = (void *)User_plugin;", to: user)
    #expect(refusal(user)?.hasPrefix("cannot load the plugin \(user): ") == true)
  }

  @Test func `a library that lacks something is one sentence with the reason`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libLacking.so")
    try Workshop.compileC(
      "int nobody_has_this(void); int Lacking_plugin(void) { return nobody_has_this(); }",
      to: path
    )
    let sentence = try #require(refusal(path))
    #expect(sentence.contains("nobody_has_this") && !sentence.contains("\n"), "\(sentence)")
  }

  @Test func `what is no library is one sentence`() throws {
    let folder = try TemporaryDirectory()
    let text = folder.file("libText.so")
    try write(Array("This is not a library.\n".utf8), to: text)
    #expect(refusal(text) == "\(text) is no plugin: it is no ELF library")
    let empty = folder.file("libEmpty.so")
    try write([], to: empty)
    #expect(refusal(empty) == "\(empty) is no plugin: it is no ELF library")
    let inside = folder.file("libFolder.so")
    #expect(unsafe mkdir(inside, 0o755) == 0)
    #expect(refusal(inside) == "\(inside) is no plugin: it is a folder")
    let pipe = folder.file("libPipe.so")
    #expect(unsafe mkfifo(pipe, 0o644) == 0)
    #expect(refusal(pipe) == "\(pipe) is no plugin: it is no regular file")
    let missing = folder.file("libMissing.so")
    #expect(refusal(missing) == "there is no plugin at \(missing): the file does not exist")
    #expect(refusal(text + "/libX.so")?.hasSuffix("the file does not exist") == true)
    #expect(refusal("") == "there is no plugin at : the file does not exist")
  }

  @Test func `a file of another name is one sentence`() throws {
    let folder = try TemporaryDirectory()
    for name in ["Star.so", "libStar.so.1", "lib.so", "libStar-2.so"] {
      let path = folder.file(name)
      try write(try contents(of: try Workshop.sample() + "/libStar.so"), to: path)
      #expect(
        refusal(path)
          == "\(path) is no plugin: the file of a plugin is called lib<Name>.so, as in libTree.so"
      )
    }
  }

  @Test func `a library for another machine is one sentence`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libStar.so")
    let original = try contents(of: try Workshop.sample() + "/libStar.so")
    for (offset, value, reason) in [
      (18, UInt8(0xf3), "it is a library for another machine"),
      (4, 1, "it is a library for another machine"),
      (5, 2, "it is a library for another machine"),
      (16, 1, "it is an ELF file, but no shared library"),
      (54, 55, "its program headers are damaged"),
      (56, 0, "its program headers are damaged"),
      (39, 0xff, "the file is cut short"),
    ] {
      var bytes = original
      bytes[offset] = value
      try write(bytes, to: path)
      #expect(refusal(path) == "\(path) is no plugin: \(reason)")
    }
  }

  @Test func `a library that is cut short is one sentence, wherever it is cut`() throws {
    let folder = try TemporaryDirectory()
    let path = folder.file("libStar.so")
    let original = try contents(of: try Workshop.sample() + "/libStar.so")
    // What is mapped ends here; behind it there is only what debuggers read.
    let end = original.mappedEnd
    #expect(end > 4096 && end <= original.count)
    var cuts = [0, 1, 4, 63, 64, 65, 119, 120, 500, 511, 512, 4096, end - 1]
    var random = SplitMix64(seed: 1)
    cuts += (0..<100).map { _ in Int.random(in: 0..<end, using: &random) }
    for cut in cuts {
      try write(Array(original[..<cut]), to: path)
      let reason = cut < 64 ? "it is no ELF library" : "the file is cut short"
      #expect(refusal(path) == "\(path) is no plugin: \(reason)", "cut at \(cut)")
    }
  }

  @Test func `altered headers and tables are looked at without harm`() throws {
    let folder = try TemporaryDirectory()
    let original = try contents(of: try Workshop.sample() + "/libStar.so")
    let dynamic = original.dynamicSection
    #expect(!dynamic.isEmpty)
    var refused = 0
    for seed in UInt64(1)...1000 {
      var random = SplitMix64(seed: seed)
      var bytes = original
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place =
          Bool.random(using: &random)
          ? Int.random(in: 4..<512, using: &random) : Int.random(in: dynamic, using: &random)
        bytes[place] =
          [0, 0xff, 0x7f, UInt8.random(in: 0...255, using: &random)]
          .randomElement(using: &random) ?? 0
      }
      // Not a name of a plugin: looked at, but never handed to the system's loader.
      let path = folder.file("altered")
      try write(bytes, to: path)
      let sentence = try #require(refusal(path), "seed \(seed)")
      #expect(!sentence.contains("\n") && sentence.hasPrefix(path), "seed \(seed)")
      if !sentence.contains("is called lib<Name>.so") { refused += 1 }
    }
    #expect(refused > 100)
  }

  @Test func `a broken file in a folder of plugins is told, and beside the executable it harms nobody`()
    throws
  {
    let folder = try TemporaryDirectory()
    let old = folder.file("libOlder.so")
    try Workshop.compileC(plugin: "Older", generation: 0, to: old)
    #expect(throws: PluginError.self) { try PluginRegistry.standard(searchPath: folder.path) }
    try write(Array("text".utf8), to: folder.file("libText.so"))
    var registry = PluginRegistry()
    registry.loadBuiltIn(folder.path)
    #expect(registry.plugins.isEmpty)
    #expect(registry.refusals.count == 1)
    let error = #expect(throws: PluginError.self) { try registry.topology("older") }
    #expect(error?.description.contains("(the plugin \(old) speaks generation 0") == true)
  }
}

extension [UInt8] {
  private func number(_ offset: Int, _ size: Int) -> Int {
    (0..<size).reversed().reduce(0) { $0 << 8 | Int(self[offset + $1]) }
  }

  private var segments: [(kind: Int, range: Range<Int>)] {
    (0..<number(56, 2)).map { index in
      let base = number(32, 8) + index * 56
      let start = number(base + 8, 8)
      return (number(base, 4), start..<start + number(base + 32, 8))
    }
  }

  /// Where the last part of an ELF library ends that is mapped.
  fileprivate var mappedEnd: Int { segments.filter { $0.kind == 1 }.map(\.range.upperBound).max() ?? 0 }

  fileprivate var dynamicSection: Range<Int> { segments.first { $0.kind == 2 }?.range ?? 0..<0 }
}
