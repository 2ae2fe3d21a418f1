import Integrity
import Lab
import PluginKit
import Testing
import Wire

@testable import Swarm

@Suite struct `Content for members only` {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func `goes whole to its members, who feed each other, and to nobody else`(seed: UInt64) throws {
    let scene = try ContentScene(seed: seed, path: Path(delay: .milliseconds(5), loss: 0.02))
    let club = try Club(.content(scene.tree.root))
    let seeder = try scene.seeder { club.admit(&$0) }
    var members: [ContentHost] = []
    for _ in 0..<3 { members.append(try scene.fetcher(from: [seeder] + members) { club.admit(&$0) }) }
    let stranger = try scene.fetcher(from: [seeder] + members)
    let impostor = try scene.fetcher(from: [seeder] + members) { configuration in
      // Of an authority that calls itself the same.
      if let other = try? Club(.content(scene.tree.root)) { other.admit(&configuration) }
    }
    var leaked = 0
    let outsiders = [stranger.address, impostor.address]
    scene.world.observer = { _, from, to, _ in
      if outsiders.contains(to), !outsiders.contains(from) { leaked += 1 }
    }
    #expect(scene.finish(members, within: .seconds(30)), "seed \(seed)")
    for member in members { scene.expectWhole(member) }
    scene.run(for: .seconds(3))
    #expect(leaked == 0, "seed \(seed)")
    for outsider in [stranger, impostor] {
      #expect(outsider.progress?.held == 0)
      #expect(!outsider.notices.contains { $0.notice == .connected }, "seed \(seed)")
    }
  }

  /// A seeder of a few chunks for members, its club, and one who calls it.
  private func scene() throws -> (seeder: Peer, club: Club, caller: Caller) {
    let bytes = [UInt8](repeating: 7, count: 7162)
    let tree = try ContentScene.tree(of: bytes, .sha256, 1024)
    let memory = ContentMemory(byteCount: bytes.count)
    unsafe memory.write(bytes.span.bytes, at: 0)
    let club = try Club(.content(tree.root))
    var configuration = PeerConfiguration(
      .content(tree.root),
      role: .relay,
      identity: try unsafe PeerIdentity(seed: [UInt8](repeating: 200, count: 32).span.bytes),
      address: Foe.victimAddress
    )
    configuration.chunkSize = 1024
    configuration.seed = 1
    configuration.clockOffset = Club.now
    club.admit(&configuration)
    let seeder = try Peer(
      configuration,
      content: Content(tree, memory),
      channels: ChannelNumbers(),
      now: .zero
    )
    return (seeder, club, Caller(content: tree.root, chunkSize: 1024))
  }

  /// Knocks with a certificate, opens the channel and asks for a chunk; gives what came of it.
  private func ask(_ seeder: inout Peer, _ caller: inout Caller, _ certificate: [UInt8]) throws
    -> (answers: Int, said: [Caller.Said])
  {
    let (options, local) = (caller.options, caller.local)
    caller.send(to: 0, &seeder, now: .zero) { bytes in
      WireFormat.appendHandshake(source: local, options, to: &bytes)
      unsafe WireFormat.appendPexCertificate(certificate.span.bytes, to: &bytes)
    }
    let answers = try caller.hear(&seeder).count
    let format = caller.format
    caller.say(&seeder, now: .milliseconds(10)) { format.appendRequest(0...6, to: &$0) }
    return (answers, try caller.listen(to: &seeder, from: .milliseconds(10), for: .seconds(2)))
  }

  @Test func `is sent to a plain peer whose certificate says where it is, and to no other plain peer`() throws
  {
    let identity = try PeerIdentity.generate()
    var (seeder, club, caller) = try scene()
    let placed = try club.member(identity, place: caller.address.description).certificate.der
    var heard = try ask(&seeder, &caller, placed)
    #expect(heard.answers == 1)
    #expect(Set(heard.said.chunks) == Set(0...6))
    // A certificate is public: who has only seen it does not have its key, and is not where it says.
    for place in [nil, "192.0.2.1:7574"] {
      (seeder, club, caller) = try scene()
      let copied = try club.member(identity, place: place).certificate.der
      heard = try ask(&seeder, &caller, copied)
      #expect(heard.answers == (place == nil ? 1 : 0))
      #expect(heard.said.chunks.isEmpty && heard.said.haves.isEmpty, "\(place ?? "anywhere")")
    }
  }

  @Test func `is not for members of another file`() throws {
    let (tree, other) = try (
      ContentScene.tree(of: [1, 2, 3], .sha256, 1024), ContentScene.tree(of: [1, 2, 4], .sha256, 1024)
    )
    let (club, others) = (try Club(.content(tree.root)), try Club(.content(other.root)))
    #expect(club.authority.authority.isFor(.content(tree.root)))
    #expect(!club.authority.authority.isFor(.content(other.root)))
    let certificate = try others.member(try PeerIdentity.generate()).certificate.der
    #expect(unsafe club.authority.authority.check(certificate.span.bytes, at: Club.now) == nil)
    #expect(unsafe others.authority.authority.check(certificate.span.bytes, at: Club.now) != nil)
  }
}
