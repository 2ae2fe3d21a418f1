import Support
import Testing

@testable import MediaIO

@Suite struct CoreTests {
  @Test func `Entries are recognised in any bytes without a trap`() {
    for seed in UInt64(0)..<20_000 {
      var random = SplitMix64(seed: seed)
      var bytes = [UInt8](repeating: 0, count: Int.random(in: 0...1500, using: &random))
      for index in bytes.indices { bytes[index] = UInt8.random(in: 0...255, using: &random) }
      // Half of them look like transport packets at first sight.
      if seed % 2 == 0 {
        for offset in stride(from: 0, to: bytes.count, by: 188) { bytes[offset] = 0x47 }
        if bytes.count > 3 { (bytes[1], bytes[2]) = (0x40, 0) }
      }
      let isEntry = beginsEntry(bytes)
      if isEntry { #expect(bytes.count >= 188 && bytes[0] == 0x47 && bytes[2] == 0, "seed \(seed)") }
      var checker = StreamChecker()
      unsafe checker.append(bytes.span.bytes)
      var first = FirstFrame()
      _ = unsafe first.append(bytes.span.bytes)
      _ = unsafe AnnexB.holdsParameterSet(bytes.span.bytes, isHEVC: seed % 3 == 0)
    }
  }

  @Test func `The first access unit is found, or nothing, in tables that lie`() throws {
    let chunks = try Gathered(Clips.clock, limit: 40).bytes
    for seed in UInt64(0)..<2_000 {
      var random = SplitMix64(seed: seed)
      var bytes = chunks
      for _ in 0..<20 {
        bytes[Int.random(in: 0..<600, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      var first = FirstFrame()
      _ = unsafe first.append(bytes.span.bytes)
    }
    var first = FirstFrame()
    let isFound = unsafe first.append(chunks.span.bytes)
    #expect(isFound)
    let isFoundAgain = unsafe first.append(chunks.span.bytes)
    #expect(!isFoundAgain)
  }

  @Test func `A chunk that is not full is filled up after 20 ms`() {
    var chunker = Chunker(size: 1316)
    let packet = [UInt8](repeating: 0x47, count: 188)
    #expect(chunker.deadline == nil)
    #expect(chunker.append(packet[...], now: 1_000) == nil)
    #expect(chunker.append(packet[...], now: 5_000_000) == nil)
    #expect(chunker.deadline == 20_001_000)
    let chunk = chunker.flush()
    #expect(chunk?.bytes.count == 1316)
    #expect(chunk?.bytes.suffix(188) == TransportStream.nullPacket[...])
    #expect(chunker.deadline == nil)
    #expect(chunker.flush() == nil)
  }

  @Test func `A chunk of variable length ends with what is there, and the last one is empty`() {
    for pending in 0..<7 {
      var chunker = Chunker(size: 1316, isVariable: true)
      let packet = [UInt8](repeating: 0x47, count: 188)
      for _ in 0..<pending { #expect(chunker.append(packet[...], now: 0) == nil) }
      let flushed = chunker.flush()
      #expect(flushed?.bytes.count == (pending == 0 ? nil : pending * 188))
      #expect(chunker.flush() == nil && chunker.filler().bytes == TransportStream.nullPacket)
      for _ in 0..<pending { #expect(chunker.append(packet[...], now: 0) == nil) }
      let rest = chunker.finish()
      #expect(rest.map(\.bytes.count) == (pending == 0 ? [0] : [pending * 188, 0]))
      #expect(rest.map(\.isLast) == (pending == 0 ? [true] : [false, true]))
    }
    var chunker = Chunker(size: 376, isVariable: true)
    #expect(chunker.append(TransportStream.nullPacket[...], now: 0) == nil)
    #expect(chunker.append(TransportStream.nullPacket[...], now: 0)?.bytes.count == 376)
  }

  @Test func `A group that is not full is due after 100 ms, and a full one never`() {
    var group = ChunkGroup(size: 4)
    #expect(group.isComplete && group.deadline == nil)
    group.add(now: 7)
    group.add(now: 50_000_000)
    #expect(!group.isComplete && group.deadline == 100_000_007)
    group.add(now: 60_000_000)
    group.add(now: 70_000_000)
    #expect(group.isComplete && group.deadline == nil)
    var alone = ChunkGroup(size: 1)
    alone.add(now: 1)
    #expect(alone.isComplete)
  }

  @Test func `The last chunk is short whatever is pending`() {
    for size in [188, 376, 1316] {
      for pending in 0..<size / 188 {
        var chunker = Chunker(size: size)
        for _ in 0..<pending { #expect(chunker.append(TransportStream.nullPacket[...], now: 0) == nil) }
        let rest = chunker.finish()
        let last = rest[0]
        #expect(rest.count == 1 && last.isLast && last.bytes.count < size)
        #expect(last.bytes.count == (size == 188 ? 0 : max(1, pending) * 188))
      }
    }
  }

  @Test func `A stream is paced without drift, and a stall moves its schedule`() {
    var pacer = Pacer()
    let start: Int64 = 5_000_000_000
    #expect(pacer.due(90_000, now: start) == start)
    for frame in Int64(1)..<100_000 {
      let due = start + frame * 40_000_000
      // The caller is always a little late; the schedule is not.
      #expect(pacer.due(90_000 + frame * 3600, now: due - 1_000_000) == due)
    }
    let late = start + 100_000 * 40_000_000 + 7_000_000_000
    #expect(pacer.due(90_000 + 100_000 * 3600, now: late) == late)
    #expect(pacer.due(90_000 + 100_001 * 3600, now: late) == late + 40_000_000)
  }

  @Test func `Timelines rise whatever comes in`() {
    for seed in UInt64(0)..<2_000 {
      var random = SplitMix64(seed: seed)
      var timeline = Timeline(streams: [(3600, 2), (1920, 0)])
      timeline.begin(
        start: Bool.random(using: &random) ? nil : Int64.random(in: .min ... .max, using: &random)
      )
      var last = [Int64](repeating: -1, count: 2)
      for _ in 0..<200 {
        let stream = Int.random(in: 0...1, using: &random)
        func time() -> Int64? {
          switch Int.random(in: 0...4, using: &random) {
          case 0: nil
          case 1: Int64.random(in: .min ... .max, using: &random)
          case 2: [Int64.min, .max, 0, -1, 1 << 33][Int.random(in: 0...4, using: &random)]
          default: Int64.random(in: -900_000...900_000, using: &random)
          }
        }
        if Int.random(in: 0...50, using: &random) == 0 { timeline.begin(start: time()) }
        let stamp = timeline.map(
          stream: stream,
          presentation: time(),
          decoding: time(),
          duration: Int64.random(in: -5...10_000, using: &random)
        )
        #expect(stamp.decoding > last[stream], "seed \(seed)")
        #expect(stamp.presentation >= stamp.decoding, "seed \(seed)")
        #expect(stamp.presentation < 1 << 50, "seed \(seed)")
        last[stream] = stamp.decoding
      }
    }
  }

  @Test func `Both streams take over one offset when the input jumps`() {
    for jump in [Int64(-50), -4, 4, 3600, 95_443].map({ $0 * 90_000 }) {
      var timeline = Timeline(streams: [(3600, 0), (1920, 0)])
      timeline.begin(start: 0)
      var difference: [Int64] = []
      for second in Int64(0)..<20 {
        let shift = second >= 10 ? jump : 0
        for tick in Int64(0)..<25 {
          // The sound's packets jump half a second after the picture's.
          let time = second * 90_000 + tick * 3600
          let video = timeline.map(stream: 0, presentation: nil, decoding: time + shift, duration: 3600)
          let late = time - 45_000
          guard late >= 0 else { continue }
          let audio = timeline.map(
            stream: 1,
            presentation: nil,
            decoding: late + (late >= 900_000 ? jump : 0),
            duration: 3600
          )
          difference.append(video.decoding - audio.decoding)
        }
      }
      #expect(difference.allSatisfy { abs($0 - 45_000) <= 2 }, "jump \(jump)")
      #expect(timeline.jumps == 1, "jump \(jump)")
    }
  }

  @Test func `A reader that falls behind keeps whole runs`() {
    for seed in UInt64(0)..<500 {
      var random = SplitMix64(seed: seed)
      var queue = OutputQueue(limit: 4_000)
      var pushed: UInt64 = 0
      var taken: [UInt8] = []
      var run: UInt8 = 0
      // Each byte says which run its chunk belongs to.
      for _ in 0..<500 {
        let isEntry = Int.random(in: 0...7, using: &random) == 0
        if isEntry { run &+= 1 }
        queue.push([UInt8](repeating: run, count: 100), isEntry: isEntry)
        pushed += 1
        #expect(queue.byteCount <= 4_000, "seed \(seed)")
        if Int.random(in: 0...3, using: &random) == 0 { taken += queue.take(upTo: 200) }
      }
      while !queue.isEmpty { taken += queue.take(upTo: 200) }
      #expect(UInt64(taken.count / 100) + queue.dropped == pushed, "seed \(seed)")
      #expect(queue.dropped > 0, "seed \(seed)")
    }
  }

  @Test func `Inputs are told apart by their names`() {
    #expect(InputAddress("-").kind == .standardInput)
    #expect(InputAddress("film.mp4").url == "file:film.mp4")
    #expect(InputAddress("a:b.mp4").url == "file:a:b.mp4")
    #expect(InputAddress("lavfi:testsrc2=size=64x64[out0];sine[out1]").kind == .device("lavfi"))
    #expect(!InputAddress("lavfi:testsrc2").isLive)
    #expect(InputAddress("x11grab::0.0").url == ":0.0")
    #expect(InputAddress("x11grab::0.0").isLive)
    let camera = InputAddress("v4l2:/dev/video0?video_size=1280x720&framerate=30")
    #expect(camera.url == "/dev/video0")
    #expect(camera.options == ["video_size": "1280x720", "framerate": "30"])
    let listening = InputAddress("rtmp://0.0.0.0:1935/live/key?listen=1")
    #expect(listening.url == "rtmp://0.0.0.0:1935/live/key")
    #expect(listening.options["listen"] == "1")
    #expect(InputAddress("rtmp://example.org/live/key?token=a").options["listen"] == nil)
    #expect(InputAddress("srt://0.0.0.0:9000?mode=listener").isLive)
    #expect(!InputAddress("https://example.org/film.mp4").isLive)
    #expect(InputAddress("mp4:film").kind == .file)
  }
}
