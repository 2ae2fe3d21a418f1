import Node
import PluginKit
import Support
import Testing

/// Knows nobody.
private final class NobodysDirectory: PeerDirectory {
  func contact(of peer: PeerRef) -> Contact? { nil }
  func peer(for contact: Contact) -> PeerRef { PeerRef(0) }
}

private func context(rate: UInt64 = 1_000_000) -> TopologyContext {
  TopologyContext(
    now: .seconds(5),
    me: Contact(id: PeerID(InlineWords(1)), address: Address(ipv4: 0x7f00_0001, port: 7574)),
    epoch: 1,
    window: WindowState(first: 0, last: 99, newestEntry: 90, size: 1000),
    stream: StreamProperties(rate: rate, chunkSize: 1316, stripes: 1),
    held: [0...99],
    random: RandomSource(seed: 1),
    directory: NobodysDirectory()
  )
}

@Suite struct SamplePluginTests {
  @Test func `a stranger's package builds and loads`() throws {
    let path = try Workshop.sample() + "/libStar.so"
    let loaded = try PluginLoader.load(path)
    #expect(loaded.kind == "topology")
    #expect(loaded.manifest.name == "star")
    #expect(loaded.generation == PluginLoader.generation)
    #expect(loaded.path == path)
  }

  @Test func `host and plugin share one PluginKit although the stranger built a second`() throws {
    _ = try PluginLoader.load(try Workshop.sample() + "/libStar.so")
    #expect(try contents(of: try Workshop.sample() + "/libPluginKit.so").count > 0)
    #expect(try Workshop.mapped("libPluginKit.so").count == 1)
  }

  @Test func `a topology of the plugin does what its parameters say`() throws {
    var registry = PluginRegistry()
    try registry.load(try Workshop.sample() + "/libStar.so")
    var star = try registry.topology("star", "rays=2")
    #expect(type(of: star).manifest.name == "star")

    var first = context()
    star.handle(.start(.source), &first)
    star.handle(.capacity(Capacity(upload: 10_000_000)), &first)
    #expect(first.actions == [.declareParent(stripe: 0, nil, depth: 0)])
    for number in UInt32(1)...3 {
      let peer = PeerRef(number)
      let id = PeerID(InlineWords(UInt64(number)))
      let hello = Hello(
        id: id,
        capacity: Capacity(upload: 0),
        isAttached: false,
        depth: nil,
        address: Address(ipv4: number, port: 1)
      )
      var next = context()
      star.handle(
        .inbound(Inbound(peer: peer, hello: hello, purpose: .data, stripes: .first(1), from: 7)),
        &next
      )
      let served: [TopologyAction] = [
        .accept(peer, .first(1), note: []), .route(stripe: 0, to: peer, from: 7),
      ]
      #expect(next.actions == (number < 3 ? served : [.refuse(peer, .first(1), redirect: [])]))
    }
  }

  @Test func `parameters that a plugin does not take are one sentence`() throws {
    var registry = PluginRegistry()
    try registry.load(try Workshop.sample() + "/libStar.so")
    for (text, reason) in [
      ("rays=0", "rays=0 is not possible: rays takes 1...1000"),
      ("rays=many", "rays=many is not possible: rays takes 1...1000"),
      ("rays=1,rays=2", "the parameter 'rays' is given twice"),
      ("beams=1", "there is no parameter 'beams', only rays"),
      ("rays", "'rays' is no parameter: write name=value"),
    ] {
      let error = #expect(throws: PluginError.self) { try registry.topology("star", text) }
      #expect(error?.description == "the topology 'star' cannot be made so: \(reason)")
    }
  }

  @Test func `a second plugin of one kind and name is one sentence`() throws {
    let folder = try TemporaryDirectory()
    let original = try Workshop.sample() + "/libStar.so"
    let copy = folder.file("libStar.so")
    try write(try contents(of: original), to: copy)
    var registry = PluginRegistry()
    try registry.load(original)
    let error = #expect(throws: PluginError.self) { try registry.load(copy) }
    #expect(
      error?.description
        == "the plugin \(copy) is a second topology called 'star': \(original) is one already"
    )
    // The same file by another name is no second plugin.
    let link = folder.file("libAgain.so")
    #expect(try run("ln", ["-s", original, link]).status == 0)
    try registry.load(link)
    #expect(registry.names("topology") == ["star"])
  }

  @Test func `plugins in folders are found and other libraries left alone`() throws {
    let folder = try TemporaryDirectory()
    try write(try contents(of: try Workshop.sample() + "/libStar.so"), to: folder.file("libStar.so"))
    try write(
      try contents(of: try Workshop.sample() + "/libPluginKit.so"),
      to: folder.file("libPluginKit.so")
    )
    try write([1, 2, 3], to: folder.file("notes.txt"))
    let registry = try PluginRegistry.standard(searchPath: ":\(folder.path):")
    #expect(registry.names("topology").contains("star"))
    #expect(registry.refusals == [])
    #expect(try Workshop.mapped("libPluginKit.so").count == 1)
  }
}
