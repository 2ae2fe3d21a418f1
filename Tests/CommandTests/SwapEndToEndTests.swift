import Glibc
import Support
import Testing

@testable import freshet

/// Broadcasters change the topology of what runs, as their users do it, over sockets on loopback.
@Suite(.serialized) struct `freshet topology` {
  private static let clip =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
    + "/Media/clock.mp4"

  /// A broadcast whose control socket is in a folder.
  private func broadcast(_ folder: String, _ arguments: [String] = []) throws -> Program {
    try Program(
      built("freshet"),
      ["broadcast", Self.clip, "--loop", "--listen", "udp://127.0.0.1:0", "--verbose"] + arguments,
      environment: ["XDG_RUNTIME_DIR": folder]
    )
  }

  private func topology(_ folder: String, _ arguments: [String]) throws -> RunResult {
    try run(built("freshet"), ["topology"] + arguments, environment: ["XDG_RUNTIME_DIR": folder])
  }

  @Test func `changes how three viewers are connected, and each gets every byte`() throws {
    let folder = try TemporaryDirectory()
    var source = try broadcast(folder.path, ["--keep", folder.file("kept.ts")])
    let link = try #require(try source.line(), "\(source.complaint)")
    func join(_ number: Int) throws -> Program {
      try Program(built("freshet"), ["join", link, "--keep", folder.file("\(number).ts"), "--verbose"])
    }
    var first = try join(1)
    try first.waitForComplaint("fed by")
    var second = try join(2)
    try second.waitForComplaint("fed by")
    var third = try join(3)
    try third.waitForComplaint("fed by")
    // What cannot be made is refused, and changes nothing.
    #expect(try topology(folder.path, ["ring"]).errors.contains("'ring'"))
    #expect(try topology(folder.path, ["tree:fanout=x"]).errors.contains("fanout"))
    let result = try topology(folder.path, ["striped:stripes=2", "--json"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.text.contains("\"epoch\":2,\"topology\":\"striped\",\"parameters\":\"stripes=2\""))
    #expect(result.text.contains("\"lost\":0"))
    try first.waitForComplaint("'striped' has taken over (epoch 2)")
    try second.waitForComplaint("'striped' has taken over (epoch 2)")
    try third.waitForComplaint("'striped' has taken over (epoch 2)")
    source.signal(SIGTERM)
    #expect(try source.wait(within: .seconds(10)) == 0, "\(source.complaint)")
    #expect(try first.wait(within: .seconds(10)) == 0, "\(first.complaint)")
    #expect(try second.wait(within: .seconds(10)) == 0, "\(second.complaint)")
    #expect(try third.wait(within: .seconds(10)) == 0, "\(third.complaint)")
    let kept = try contents(of: folder.file("kept.ts"))
    for number in 1...3 {
      let recording = try contents(of: folder.file("\(number).ts"))
      let isEnd = recording.count > 100_000 && kept.suffix(recording.count) == recording[...]
      #expect(isEnd, "viewer \(number): \(recording.count) of \(kept.count) bytes")
    }
  }

  @Test func `finds the broadcast that is meant, or says what is wrong in a sentence`() throws {
    let folder = try TemporaryDirectory()
    let none = try topology(folder.path, ["chain"])
    #expect(none.status == 1 && none.errors.contains("no broadcast of yours runs on this machine"))
    var first = try broadcast(folder.path)
    var second = try broadcast(folder.path)
    try first.waitForComplaint("broadcasting")
    try second.waitForComplaint("broadcasting")
    let several = try topology(folder.path, ["chain"])
    #expect(several.status == 1 && several.errors.contains("2 broadcasts of yours run on this machine"))
    let elsewhere = try topology(folder.path, ["chain", "--port", "1"])
    #expect(elsewhere.status == 1 && elsewhere.errors.contains("at port 1"))
    first.signal(SIGKILL)
    second.signal(SIGTERM)
    #expect(try second.wait(within: .seconds(10)) == 0, "\(second.complaint)")
    _ = try first.wait()
    // What the killed one left behind is in nobody's way.
    #expect(try topology(folder.path, ["chain"]).errors.contains("no broadcast of yours"))
    #expect(try topology(folder.path, ["two words"]).status == 64)
  }
}
