import MediaIO
import Support
import Testing

/// The repository's clips and what FFmpeg says about streams.
enum Clips {
  static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/")
  static let clock = root + "/Media/clock.mp4"
  static let fractal = root + "/Media/fractal.mkv"
}

/// The MD5 of each decoded picture of a file or, from its bytes, of a stream.
func pictures(of path: String = "-", _ bytes: [UInt8] = []) throws -> [String] {
  let result = try run(
    "ffmpeg",
    ["-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"],
    input: bytes
  )
  #expect(result.errors == "", "decoding \(path)")
  return result.text.split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
    line.split(separator: ",").last.map { $0.filter { $0 != " " } }
  }
}

/// Asserts that a stream decodes without a single complaint.
func expectDecodes(_ bytes: [UInt8], _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation)
  throws
{
  let result = try run("ffmpeg", ["-v", "error", "-i", "-", "-f", "null", "-"], input: bytes)
  #expect(result.errors == "", comment, sourceLocation: location)
  #expect(result.status == 0, comment, sourceLocation: location)
}

/// One packet as ffprobe lists it.
struct Probed {
  var isVideo: Bool
  var presentation: Double
  var decoding: Double
  var size: Int
}

/// The packets of a stream.
func probe(_ bytes: [UInt8]) throws -> [Probed] {
  let result = try run(
    "ffprobe",
    [
      "-v", "error", "-show_entries", "packet=codec_type,pts_time,dts_time,size", "-of",
      "default=nokey=0:noprint_wrappers=0", "-",
    ],
    input: bytes
  )
  var packets: [Probed] = []
  for line in result.text.split(separator: "\n") {
    let parts = line.split(separator: "=", maxSplits: 1)
    guard parts.count == 2 else {
      if line == "[PACKET]" {
        packets.append(Probed(isVideo: false, presentation: -1, decoding: -1, size: 0))
      }
      continue
    }
    guard !packets.isEmpty else { continue }
    switch parts[0] {
    case "codec_type": packets[packets.count - 1].isVideo = parts[1] == "video"
    case "pts_time": packets[packets.count - 1].presentation = Double(parts[1]) ?? -1
    case "dts_time": packets[packets.count - 1].decoding = Double(parts[1]) ?? -1
    case "size": packets[packets.count - 1].size = Int(parts[1]) ?? 0
    default: break
    }
  }
  return packets
}

/// A whole run of a source, kept.
struct Gathered {
  struct Chunk {
    var bytes: [UInt8]
    var isEntry: Bool
    var isLast: Bool
  }

  var chunks: [Chunk] = []
  var end = MediaSource.End.finished
  var summary = ""
  var notices: [String] = []
  var bitrate: Int64?

  var bytes: [UInt8] { chunks.flatMap(\.bytes) }

  /// Runs an input to its end, or until so many chunks have come.
  init(_ input: String, _ options: MediaSource.Options = .init(pacing: .none), limit: Int = .max) throws {
    let source = MediaSource(input, options: options)
    try source.open()
    summary = source.summary
    bitrate = source.declaredBitrate
    var chunks: [Chunk] = []
    end = source.run { chunk, isEntry, isLast in
      chunks.append(Chunk(bytes: Array(copying: chunk), isEntry: isEntry, isLast: isLast))
      if chunks.count == limit { source.stop() }
      return true
    }
    notices = source.notices
    self.chunks = chunks
  }
}

/// Whether a decoder can begin with these bytes.
func beginsEntry(_ bytes: [UInt8]) -> Bool {
  unsafe TransportStream.beginsEntry(bytes.span.bytes)
}

extension [UInt8] {
  /// A copy of borrowed bytes.
  init(copying bytes: RawSpan) {
    self = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
  }
}
