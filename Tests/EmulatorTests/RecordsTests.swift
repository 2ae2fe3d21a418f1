import Support
import Testing

@testable import Emulator

@Suite struct `What peers and the system tell of a run` {
  @Test func `Chunks are read line by line, and what is cut off is left out`() throws {
    #expect(
      ChunkLog.line("7,100,-2,1\n") == ChunkLog.Line(chunk: 7, here: 100, out: -2, isEntry: true)
    )
    let none = [
      "chunk,here,out,entry\n", "7,100,120,1", "7,100,120\n", "7,100,120,2\n", "-1,0,0,0\n", "\n", "",
    ]
    for text in none { #expect(ChunkLog.line(text) == nil, "\(text)") }
    let folder = try TemporaryDirectory()
    #expect(ChunkLog(path: folder.file("none")).lines == [])
    try write(Array("chunk,here,out,entry\n1,5,6,0\n2,7,8,1\n3,9".utf8), to: folder.file("some"))
    #expect(ChunkLog(path: folder.file("some")).lines.map(\.chunk) == [1, 2])
  }

  @Test func `Figures are those of the last whole line`() throws {
    let folder = try TemporaryDirectory()
    let line = #"{"chunks_in":5,"duplicate":1,"repaired":2,"rejected":3,"depth":4,"parent":null}"#
    try write(Array("{\"chunks_in\":1}\n\(line)\n{\"chunks_in\":9".utf8), to: folder.file("x"))
    var figures = PeerFigures()
    (figures.chunksIn, figures.duplicate, figures.repaired, figures.rejected) = (5, 1, 2, 3)
    figures.depth = 4
    #expect(PeerFigures(path: folder.file("x")) == figures)
    #expect(PeerFigures(path: folder.file("none")) == PeerFigures())
    for garbage in ["{}", "[1]", "{\"chunks_in\":-1,\"depth\":\"x\"}", "\u{0}"] {
      #expect(PeerFigures(line: garbage) == PeerFigures())
    }
  }

  @Test func `Waiting is not work, and what the hypervisor took is`() throws {
    let first = try #require(ProcessorTime("cpu  100 0 100 1000 0 0 0 0 7 7\ncpu0 …"))
    let then = try #require(ProcessorTime("cpu  110 5 105 1060 10 2 3 5 8 8\n"))
    #expect(then.busyPart(since: first) == 0.3)
    #expect(first.busyPart(since: first) == 0)
    for text in ["", "cpu", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 x 5 6 7 8"] {
      #expect(ProcessorTime(text) == nil)
    }
    #expect(ProcessorTime.now() != nil)
  }
}
