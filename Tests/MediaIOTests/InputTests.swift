import CAllocations
import Glibc
import MediaIO
import Support
import Synchronization
import Testing

/// Runs the command line's ffmpeg, which must succeed.
private func ffmpeg(_ arguments: String...) throws {
  let result = try run("ffmpeg", ["-v", "error", "-y"] + arguments)
  #expect(result.status == 0, "\(result.errors)")
}

/// Asserts that decoding times rise in each stream.
private func expectMonotone(_ bytes: [UInt8], location: SourceLocation = #_sourceLocation) throws -> [Probed]
{
  let packets = try probe(bytes)
  for kind in [true, false] {
    let times = packets.filter { $0.isVideo == kind }.map(\.decoding)
    #expect(zip(times, times.dropFirst()).allSatisfy { $0 < $1 }, sourceLocation: location)
  }
  return packets
}

@Suite struct InputTests {
  @Test func `Video alone and audio alone are carried and can be entered each second`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg("-i", Clips.clock, "-an", "-c", "copy", folder.file("video.mp4"))
    try ffmpeg("-i", Clips.clock, "-vn", "-c", "copy", folder.file("audio.mp4"))
    let video = try Gathered(folder.file("video.mp4"))
    try expectDecodes(video.bytes)
    #expect(video.summary == "H.264 640x360 25 fps")
    #expect(video.chunks.count { $0.isEntry } == 12)
    let audio = try Gathered(folder.file("audio.mp4"))
    try expectDecodes(audio.bytes)
    #expect(audio.summary == "AAC 48 kHz stereo")
    #expect((11...13).contains(audio.chunks.count { $0.isEntry }))
    for chunk in audio.chunks {
      #expect(beginsEntry(chunk.bytes) == chunk.isEntry)
    }
    let entry = try #require(audio.chunks.indices.filter { audio.chunks[$0].isEntry }.dropFirst(3).first)
    try expectDecodes(audio.chunks[entry...].flatMap(\.bytes))
  }

  @Test(arguments: ["mp4", "mkv", "ts", "flv"])
  func `A file that ends in the middle of a packet is carried as far as it goes`(kind: String) throws {
    let folder = try TemporaryDirectory()
    let whole = folder.file("whole." + kind)
    try ffmpeg("-i", Clips.clock, "-c", "copy", "-movflags", "+faststart", whole)
    let bytes = try contents(of: whole)
    try Support.write(Array(bytes[..<(bytes.count * 6 / 10 + 77)]), to: folder.file("cut." + kind))
    let run = try Gathered(folder.file("cut." + kind))
    #expect(run.chunks.last?.isLast == true)
    let all = try pictures(of: Clips.clock)
    // A transport stream's last picture is cut, and decodes as such.
    let decoded = try Support.run(
      "ffmpeg",
      ["-v", "quiet", "-i", "-", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
      input: run.bytes
    )
    let lines = decoded.text.split(separator: "\n").filter { !$0.hasPrefix("#") && $0.hasPrefix("0,") }
    #expect(lines.count > all.count / 2 && lines.count < all.count)
    if kind != "ts" { try expectDecodes(run.bytes) }
  }

  @Test(arguments: [1000.0, 0.0, 95_443.0])
  func `Timestamps that jump are joined, and sound stays with the picture`(offset: Double) throws {
    let folder = try TemporaryDirectory()
    try ffmpeg("-i", Clips.clock, "-c", "copy", "-output_ts_offset", "500", folder.file("first.ts"))
    try ffmpeg("-i", Clips.clock, "-c", "copy", "-output_ts_offset", "\(offset)", folder.file("second.ts"))
    let joined = try contents(of: folder.file("first.ts")) + contents(of: folder.file("second.ts"))
    try Support.write(joined, to: folder.file("joined.ts"))
    let run = try Gathered(folder.file("joined.ts"))
    #expect(run.notices == ["timestamps jumped and were joined"])
    let packets = try expectMonotone(run.bytes)
    let video = packets.filter(\.isVideo).map(\.presentation)
    let audio = packets.filter { !$0.isVideo }.map(\.presentation)
    #expect(video.count == 600)
    let gaps = zip(video, video.dropFirst()).map { $1 - $0 }
    #expect(gaps.allSatisfy { $0 < 0.2 })
    let lengths = try (#require(video.last) - video[0], #require(audio.last) - audio[0])
    #expect(abs(lengths.0 - lengths.1) < 0.1)
  }

  @Test func `A stream that begins later than the other stays later`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg(
      "-i",
      Clips.clock,
      "-itsoffset",
      "5",
      "-i",
      Clips.clock,
      "-map",
      "0:v",
      "-map",
      "1:a",
      "-c",
      "copy",
      "-t",
      "12",
      folder.file("late.mkv")
    )
    let packets = try expectMonotone(Gathered(folder.file("late.mkv")).bytes)
    let video = try #require(packets.first { $0.isVideo }).presentation
    let audio = try #require(packets.first { !$0.isVideo }).presentation
    #expect(abs(audio - video - 5) < 0.1)
    try ffmpeg(
      "-itsoffset",
      "5",
      "-i",
      Clips.clock,
      "-i",
      Clips.clock,
      "-map",
      "0:v",
      "-map",
      "1:a",
      "-c",
      "copy",
      "-t",
      "12",
      folder.file("later.mkv")
    )
    let run = try Gathered(folder.file("later.mkv"))
    let others = try expectMonotone(run.bytes)
    let first = try #require(others.first { $0.isVideo }).presentation
    #expect(try abs(first - #require(others.first { !$0.isVideo }).presentation - 5) < 0.1)
    // Before the first picture the sound can be entered each second.
    #expect(run.chunks.count { $0.isEntry } >= 7 + 4)
  }

  @Test func `Codecs that MPEG-TS does not carry are transcoded with a notice`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg(
      "-i",
      Clips.clock,
      "-t",
      "3",
      "-c:v",
      "libvpx",
      "-deadline",
      "realtime",
      "-cpu-used",
      "8",
      "-c:a",
      "libvorbis",
      folder.file("clip.webm")
    )
    let run = try Gathered(folder.file("clip.webm"))
    #expect(run.summary == "H.264 640x360 25 fps + AAC 48 kHz stereo")
    #expect(run.notices.count == 2)
    #expect(
      run.notices.first == "video is VP8 640x360 25 fps, which MPEG-TS does not carry: transcoding to H.264"
    )
    try expectDecodes(run.bytes)
    // Sound that comes before the first picture is an entry of its own.
    #expect((3...4).contains(run.chunks.count { $0.isEntry }))
    let packets = try expectMonotone(run.bytes)
    #expect(packets.count { $0.isVideo } == 75)
    #expect(packets.filter(\.isVideo).allSatisfy { $0.presentation == $0.decoding })
  }

  @Test(arguments: [
    (
      "mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -c:a ac3", "HEVC", "AC-3",
      0
    ),
    (
      "mp4", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=25 -tag:v hvc1 -c:a eac3",
      "HEVC", "E-AC-3", 0
    ),
    ("mpg", "-c:v mpeg2video -bf 2 -c:a mp2", "MPEG-2 video", "MP2", 0),
    ("avi", "-c:v mpeg4 -bf 0 -c:a libmp3lame", "H.264", "MP3", 1),
    ("avi", "-c:v libx264 -bf 0 -g 25 -c:a libmp3lame", "H.264", "MP3", 0),
    ("mkv", "-c:v copy -c:a libopus", "H.264", "Opus", 0),
    ("mov", "-c:v mjpeg -c:a pcm_s16be -ar 44100 -ac 1", "H.264", "AAC", 2),
    ("flv", "-c:v flv1 -c:a adpcm_swf -ar 22050", "H.264", "AAC", 2),
  ])
  func `Each codec is carried or transcoded`(
    kind: String,
    encoding: String,
    video: String,
    audio: String,
    notices: Int
  ) throws {
    let folder = try TemporaryDirectory()
    let clip = folder.file("clip." + kind)
    let words = encoding.split(separator: " ").map(String.init)
    let made = try Support.run("ffmpeg", ["-v", "error", "-i", Clips.clock, "-t", "3"] + words + [clip])
    #expect(made.status == 0, "\(made.errors)")
    let run = try Gathered(clip)
    #expect(run.notices.count == notices, "\(run.notices)")
    #expect(run.summary.hasPrefix(video + " 640x360 25 fps + " + audio + " "), "\(run.summary)")
    try expectDecodes(run.bytes)
    _ = try expectMonotone(run.bytes)
    let decoded = try pictures(of: "-", run.bytes)
    if notices == 0 {
      #expect(try decoded == pictures(of: clip))
      #expect(run.chunks.count { $0.isEntry } >= 3)
    } else {
      #expect(decoded.count >= 73)
    }
    for entry in run.chunks.indices where run.chunks[entry].isEntry {
      try expectDecodes(run.chunks[entry...].flatMap(\.bytes))
    }
  }

  @Test func `A cover picture, subtitles and chapters are no obstacle`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg("-i", Clips.clock, "-frames:v", "1", folder.file("cover.png"))
    try ffmpeg(
      "-i",
      Clips.clock,
      "-i",
      folder.file("cover.png"),
      "-map",
      "0:a",
      "-map",
      "1:v",
      "-c:a",
      "libmp3lame",
      "-disposition:v",
      "attached_pic",
      "-t",
      "4",
      folder.file("song.mp3")
    )
    let song = try Gathered(folder.file("song.mp3"))
    #expect(song.summary == "MP3 48 kHz stereo")
    try expectDecodes(song.bytes)
    try Support.write(Array("1\n00:00:01,000 --> 00:00:02,000\nWords\n".utf8), to: folder.file("words.srt"))
    try ffmpeg(
      "-i",
      Clips.clock,
      "-i",
      folder.file("words.srt"),
      "-map",
      "0",
      "-map",
      "1",
      "-map",
      "0:a",
      "-c",
      "copy",
      "-c:s",
      "srt",
      folder.file("film.mkv")
    )
    let film = try Gathered(folder.file("film.mkv"))
    #expect(film.summary == "H.264 640x360 25 fps + AAC 48 kHz stereo")
    #expect(try pictures(of: "-", film.bytes) == pictures(of: Clips.clock))
  }

  @Test func `Sound and picture that are stored one after the other are sent together`() throws {
    let folder = try TemporaryDirectory()
    // Three seconds of picture, then their sound.
    try ffmpeg("-i", Clips.clock, "-t", "3", "-an", "-c", "copy", "-f", "mpegts", folder.file("video.ts"))
    try ffmpeg(
      "-i",
      Clips.clock,
      "-t",
      "3",
      "-c",
      "copy",
      "-max_interleave_delta",
      "1",
      "-muxpreload",
      "0",
      "-muxdelay",
      "0",
      "-f",
      "avi",
      folder.file("film.avi")
    )
    let run = try Gathered(folder.file("film.avi"))
    _ = try expectMonotone(run.bytes)
    #expect(try pictures(of: "-", run.bytes) == pictures(of: folder.file("video.ts")))
  }

  @Test func `Standard input is read to its end`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg("-i", Clips.clock, "-c", "copy", folder.file("clip.ts"))
    let file = unsafe open(folder.file("clip.ts"), O_RDONLY)
    let kept = dup(0)
    dup2(file, 0)
    defer {
      dup2(kept, 0)
      close(kept)
      close(file)
    }
    let run = try Gathered("-")
    #expect(run.end == .finished)
    #expect(try pictures(of: "-", run.bytes) == pictures(of: Clips.clock))
  }

  @Test func `A filter graph is captured with picture and sound`() throws {
    let run = try Gathered("lavfi:testsrc2=size=320x180:rate=25:d=2[out0];sine=f=440:d=2[out1]")
    #expect(run.end == .finished)
    #expect(run.summary == "H.264 320x180 25 fps + AAC 48 kHz stereo")
    try expectDecodes(run.bytes)
    #expect((2...3).contains(run.chunks.count { $0.isEntry }))
    let packets = try expectMonotone(run.bytes)
    #expect(packets.count { $0.isVideo } == 50)
    let sound = packets.filter { !$0.isVideo }.map(\.presentation)
    #expect(try #require(sound.last) - sound[0] > 1.8)
  }

  @Test func `An endless input ends when it is stopped, with a short last chunk`() throws {
    let run = try Gathered("lavfi:testsrc2=size=320x180:rate=25", limit: 40)
    #expect(run.end == .stopped)
    #expect(run.chunks.last?.isLast == true)
    #expect(run.chunks.count { $0.isLast } == 1)
    try expectDecodes(run.bytes)
  }

  @Test(arguments: [Clips.clock, Clips.fractal])
  func `A loop goes on across the seam`(clip: String) throws {
    let once = try Gathered(clip)
    let run = try Gathered(clip, .init(loops: true, pacing: .none), limit: once.chunks.count * 5 / 2)
    #expect(run.end == .stopped)
    #expect(run.notices == [])
    let packets = try expectMonotone(run.bytes)
    let video = packets.filter(\.isVideo).map(\.presentation).sorted()
    #expect(video.count > 500)
    #expect(zip(video, video.dropFirst()).allSatisfy { $1 - $0 > 0.02 && $1 - $0 < 0.12 })
    let audio = packets.filter { !$0.isVideo }.map(\.presentation)
    #expect(zip(audio, audio.dropFirst()).allSatisfy { $1 - $0 < 0.12 })
    let all = try pictures(of: clip)
    let looped = try pictures(of: "-", run.bytes)
    #expect(looped.prefix(2 * all.count).elementsEqual(all + all))
  }

  @Test func `A raw stream without timestamps is given some`() throws {
    let folder = try TemporaryDirectory()
    try ffmpeg("-i", Clips.fractal, "-an", "-c", "copy", folder.file("raw.h264"))
    let run = try Gathered(folder.file("raw.h264"))
    #expect(try pictures(of: "-", run.bytes) == pictures(of: Clips.fractal))
    let times = try expectMonotone(run.bytes).map(\.presentation).sorted()
    #expect(zip(times, times.dropFirst()).allSatisfy { abs($1 - $0 - 0.04) < 0.002 })
  }

  @Test func `What cannot be opened is refused with a sentence`() throws {
    let folder = try TemporaryDirectory()
    func sentence(_ input: String) -> String {
      do {
        try MediaSource(input).open()
        return ""
      } catch { return "\(error)" }
    }
    #expect(sentence("no-such.mp4") == "cannot open 'no-such.mp4': No such file or directory")
    #expect(sentence("/tmp") == "cannot open '/tmp': Is a directory")
    try Support.write([], to: folder.file("empty.mp4"))
    #expect(sentence(folder.file("empty.mp4")) == "cannot open '\(folder.file("empty.mp4"))': it is empty")
    try Support.write(Array("no film, only words\n".utf8), to: folder.file("words.txt"))
    #expect(sentence(folder.file("words.txt")).hasPrefix("cannot "))
    #expect(sentence("v4l2:/dev/video99") == "cannot open 'v4l2:/dev/video99': No such file or directory")
    #expect(sentence("lavfi:nonsense").hasPrefix("cannot open 'lavfi:nonsense': "))
    #expect(sentence("x11grab::77.0").hasPrefix("cannot open 'x11grab::77.0': "))
    #expect(
      sentence("rtmp://127.0.0.1:1/live") == "cannot open 'rtmp://127.0.0.1:1/live': Connection refused; "
        + "to wait until OBS or another program publishes there, write rtmp://0.0.0.0:1/live"
    )
    #expect(sentence("") == "cannot open '': No such file or directory")
    #expect(throws: MediaError.self) { try MediaSource(Clips.clock, options: .init(chunkSize: 1000)).open() }
  }

  @Test(arguments: ["rtmp", "srt"])
  func `A publisher is awaited and its stream is passed on`(scheme: String) throws {
    let port = 20_000 + Int.random(in: 0..<20_000)
    let listen =
      scheme == "rtmp"
      ? "rtmp://127.0.0.1:\(port)/live/key?listen=1" : "srt://127.0.0.1:\(port)?mode=listener"
    let target = scheme == "rtmp" ? "rtmp://127.0.0.1:\(port)/live/key" : "srt://127.0.0.1:\(port)"
    let publishing = Mutex(false)
    let publisher = Support.Background {
      // The port is open a moment after the source was told to open it.
      while !publishing.withLock({ $0 }) {
        let result = try? run(
          "ffmpeg",
          [
            "-v", "error", "-re", "-i", Clips.clock, "-t", "3", "-c", "copy", "-f",
            scheme == "rtmp" ? "flv" : "mpegts", target,
          ]
        )
        if result?.status == 0 { return }
      }
    }
    defer {
      publishing.withLock { $0 = true }
      publisher.join()
    }
    let gathered = try Gathered(listen)
    #expect(gathered.summary == "H.264 640x360 25 fps + AAC 48 kHz stereo")
    let some = try pictures(of: "-", gathered.bytes)
    let all = try pictures(of: Clips.clock)
    #expect(some.count >= 50)
    #expect(Set(some).isSubset(of: all))
  }

  @Test(
    .enabled(
      if: allocations_are_counted(),
      "FFmpeg cancels its UDP thread inside a call, which the thread sanitizer takes for an error of its own"
    )
  )
  func `A live stream that is joined in the middle begins at a random access point`() throws {
    let address = "udp://127.0.0.1:\(20_000 + Int.random(in: 0..<20_000))"
    let isOver = Mutex(false)
    let publisher = Support.Background {
      while !isOver.withLock({ $0 }) {
        _ = try? Support.run(
          "ffmpeg",
          [
            "-v", "error", "-re", "-ss", "0.5", "-i", Clips.clock, "-t", "3", "-c", "copy", "-copyinkf", "-f",
            "mpegts",
            address + "?pkt_size=1316",
          ]
        )
      }
    }
    defer {
      isOver.withLock { $0 = true }
      publisher.join()
    }
    let run = try Gathered(address, .init(pacing: .none), limit: 60)
    #expect(run.end == .stopped)
    #expect(run.chunks[0].isEntry && beginsEntry(run.chunks[0].bytes))
    try expectDecodes(run.bytes)
    #expect(try Set(pictures(of: "-", run.bytes)).isSubset(of: pictures(of: Clips.clock)))
  }

  @Test func `Opening a listening input can be given up`() throws {
    let source = MediaSource("rtmp://127.0.0.1:\(20_000 + Int.random(in: 0..<20_000))/live?listen=1")
    let stopper = Support.Background { source.stop() }
    defer { stopper.join() }
    #expect(throws: MediaError.self) { try source.open() }
  }
}
