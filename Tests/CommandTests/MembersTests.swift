import Glibc
import Support
import Testing

/// Streams for members only, as a broadcaster, a member and a stranger meet them.
@Suite(.serialized) struct MembersTests {
  private static let clip =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    + "/Media/clock.mp4"

  private func freshet(_ arguments: String...) throws -> RunResult { try run(built("freshet"), arguments) }

  @Test
  func `Members record a closed broadcast, strangers hear nothing, and an expired certificate is refused`()
    throws
  {
    let folder = try TemporaryDirectory()
    let (key, club) = (folder.file("my.key"), folder.file("members"))
    #expect(try freshet("key", "generate", key).status == 0)
    let created = try freshet("ca", "create", club, "--key", key)
    #expect(created.status == 0, "\(created.errors)")
    #expect(try freshet("ca", "create", club, "--key", key).errors.contains("will not be overwritten"))
    let issued = try freshet("ca", "issue", club, "--name", "alice")
    #expect(issued.status == 0, "\(issued.errors)")
    #expect(try freshet("ca", "issue", club, "--name", "alice").status == 1)
    // One who keeps the key to himself.
    let own = folder.file("bob.key")
    let line = try freshet("ca", "request", own).text.split(separator: "\n").last.map(String.init) ?? ""
    #expect(try freshet("ca", "issue", club, "--name", "bob", "--public-key", line).status == 0)
    #expect(try freshet("ca", "issue", club, "--name", "late", "--valid", "1s").status == 0)

    var source = try Program(
      built("freshet"),
      ["broadcast", Self.clip, "--loop", "--listen", "udp://127.0.0.1:0", "--key", key, "--ca", club]
    )
    let link = try #require(try source.line())
    var alice = try Program(
      built("freshet"),
      [
        "join", link, "--certificate", "\(club)/alice.pem", "--output", folder.file("1.ts"), "--duration",
        "6s",
        "--verbose",
      ]
    )
    try alice.waitForComplaint("fed by")
    let bob = try freshet(
      "join",
      link,
      "--certificate",
      "\(club)/bob.pem",
      "--identity",
      own,
      "--output",
      folder.file("2.ts"),
      "--duration",
      "4s"
    )
    #expect(bob.status == 0, "\(bob.errors)")
    let stranger = try freshet("join", link, "--output", folder.file("3.ts"), "--duration", "3s")
    #expect(stranger.status == 1)
    #expect(stranger.errors.contains("nobody answers at 127.0.0.1:"))
    #expect(stranger.errors.contains("closed to all but members"))
    #expect(stranger.errors.split(separator: "\n").filter { $0.hasPrefix("freshet: nobody") }.count == 1)
    let late = try freshet("join", link, "--certificate", "\(club)/late.pem", "--output", folder.file("4.ts"))
    #expect(late.status == 1 && late.errors.contains("has expired"), "\(late.errors)")
    _ = try alice.wait()
    for name in ["1.ts", "2.ts"] { #expect(try contents(of: folder.file(name)).count > 50_000, "\(name)") }
    source.signal(SIGINT)
    _ = try source.wait()
  }

  @Test func `What cannot work is said before anything begins`() throws {
    let folder = try TemporaryDirectory()
    let (key, other, club) = (folder.file("my.key"), folder.file("other.key"), folder.file("members"))
    for path in [key, other] { #expect(try freshet("key", "generate", path).status == 0) }
    #expect(try freshet("ca", "create", club, "--key", key).status == 0)
    #expect(try freshet("broadcast", Self.clip, "--ca", club).errors.contains("--ca needs --key FILE"))
    let wrong = try freshet("broadcast", Self.clip, "--ca", club, "--key", other)
    #expect(wrong.status == 1 && wrong.errors.contains("the authority of another stream's key"))
    #expect(try freshet("ca", "issue", club).errors.contains("needs --name NAME"))
    #expect(try freshet("ca", "issue", club, "--name", "../x").status == 64)
    #expect(try freshet("ca", "issue", club, "--name", "x", "--public-key", "abc").status == 64)
    #expect(try freshet("ca", "issue", club, "--name", "x", "--address", "0.0.0.0:1").status == 64)
    #expect(
      try freshet("ca", "issue", folder.file("none"), "--name", "x").errors.contains("freshet ca create")
    )
    #expect(try freshet("ca", "make").errors.contains("only 'ca create', 'ca issue', 'ca request'"))
  }
}
