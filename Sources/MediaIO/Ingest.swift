internal import CFFmpeg
internal import Glibc
internal import Threads

/// Reads an input and brings its packets onto the output's timeline, ahead of the thread that writes.
///
/// Made by one thread, then used by the reading thread alone.
final class Ingest: @unchecked Sendable {
  // Sendable: `run` is called once, on a thread that from then on is the only user of everything mutable here.
  /// Damaged packets in a row after which an input counts as broken.
  private static let patience = 1000

  let address: InputAddress
  let tracks: [any Track]
  let declaredBitRate: Int64?
  private let loops: Bool
  private let interruption: Interruption
  private let queue: Monitor<IngestQueue>
  private var demuxer: Demuxer?
  private var streams: [Demuxer.Stream]
  private var timeline: Timeline

  init(
    _ address: InputAddress,
    loops: Bool,
    interruption: Interruption,
    queue: (Int) -> Monitor<IngestQueue>
  ) throws(MediaError) {
    self.address = address
    self.loops = loops
    self.interruption = interruption
    let demuxer = try Demuxer.open(address, interruption: interruption)
    var notices: [String] = []
    var tracks: [any Track] = []
    var streams: [Demuxer.Stream] = []
    for stream in demuxer.selectStreams() {
      let kind = stream.isVideo ? "video" : "audio"
      let name = unsafe describe(stream.parameters, frameRate: stream.frameRate)
      do {
        if CopyTrack.carries(unsafe stream.parameters.pointee.codec_id) {
          tracks.append(try CopyTrack(stream))
        } else {
          tracks.append(stream.isVideo ? try VideoTrack(stream) : try AudioTrack(stream))
          // What a device delivers is never carried as it is.
          if !address.isDevice {
            let codec = stream.isVideo ? "H.264" : "AAC"
            notices.append("\(kind) is \(name), which MPEG-TS does not carry: transcoding to \(codec)")
          }
        }
        streams.append(stream)
      } catch {
        notices.append("\(kind) is \(name), which cannot be used here (\(error)): left out")
      }
    }
    guard !tracks.isEmpty else {
      let reasons = notices.isEmpty ? "" : " (" + notices.joined(separator: "; ") + ")"
      throw MediaError("cannot broadcast '\(address.text)': it has no usable video or audio stream\(reasons)")
    }
    self.queue = queue(tracks.count)
    self.queue.change { queue in for notice in notices { queue.note(notice) } }
    self.tracks = tracks
    self.streams = streams
    timeline = Timeline(
      streams: zip(tracks, streams).map { track, stream in
        (
          duration: Int64(Double(Timeline.rate) / max(1, track.packetRate ?? (track.isVideo ? 25 : 47))),
          reordering: Int64(unsafe stream.parameters.pointee.video_delay)
        )
      }
    )
    timeline.begin(start: demuxer.start)
    let known = tracks.compactMap(\.bitRate)
    declaredBitRate =
      known.count == tracks.count
      ? known.reduce(0, +)
      : demuxer.bitRate > 0 && streams.count == tracks.count ? demuxer.bitRate : nil
    self.demuxer = consume demuxer
  }

  /// Reads to the end of the input, or until told to stop.
  func run() {
    let end = read()
    drain()
    demuxer = nil
    queue.change { $0.end = end }
  }

  private func read() -> IngestQueue.End {
    while true {
      var count = 0
      if let failure = pass(&count) { return failure }
      guard loops, count > 0, !interruption.raised else { return .finished }
      drain()
      do throws(MediaError) {
        try reopen()
      } catch {
        return .failed(error.description)
      }
    }
  }

  private func reopen() throws(MediaError) {
    demuxer = nil
    let next = try Demuxer.open(address, interruption: interruption)
    let streams = next.selectStreams()
    let isSame =
      streams.count == self.streams.count
      && zip(streams, self.streams).allSatisfy { $0.index == $1.index && $0.isVideo == $1.isVideo }
    guard isSame else { throw MediaError("'\(address.text)' has changed: it is not played again") }
    self.streams = streams
    timeline.begin(start: next.start)
    demuxer = consume next
  }

  /// Reads the input once.
  ///
  /// - Returns: what ended it before its end, or nil.
  private func pass(_ count: inout Int) -> IngestQueue.End? {
    guard let dropsDamaged = demuxer?.dropsDamaged else { return nil }
    var failures = 0
    while !interruption.raised {
      let index: Int
      let packet: Packet
      do throws(FFmpegError) {
        packet = try Packet()
        index = try demuxer?.read(into: packet) ?? -1
        failures = 0
      } catch {
        switch error {
        case .endOfFile: return nil
        case .exit: return nil
        case FFmpegError(code: freshet_AVERROR(EIO)) where address.kind == .liveNetwork,
          FFmpegError(code: freshet_AVERROR(ECONNRESET)) where address.kind == .liveNetwork:
          // So ends a sender that closes its connection.
          return nil
        case .again:
          usleep(1000)
          continue
        case FFmpegError(code: freshet_AVERROR_INVALIDDATA) where failures < Self.patience:
          failures += 1
          continue
        default: return .failed("reading '\(address.text)' ended early: \(error)")
        }
      }
      guard let track = streams.firstIndex(where: { $0.index == index }), packet.size > 0 else { continue }
      let flags = unsafe packet.pointer.pointee.flags
      if flags & AV_PKT_FLAG_CORRUPT != 0 && dropsDamaged {
        queue.change { $0.note("damaged packets in '\(address.text)' were left out") }
        continue
      }
      if flags & AV_PKT_FLAG_DISCARD != 0 && tracks[track] is CopyTrack == false { continue }
      count += 1
      let times = packet.times(from: streams[track].base)
      let jumps = timeline.jumps
      packet.stamp(
        timeline.map(
          stream: track,
          presentation: times.presentation,
          decoding: times.decoding,
          duration: times.duration
        )
      )
      if timeline.jumps > jumps { queue.change { $0.note("timestamps jumped and were joined") } }
      packet.stream = track
      do throws(FFmpegError) {
        try tracks[track].feed(packet, push)
      } catch {
        queue.change { $0.note("a packet could not be converted: \(error)") }
      }
    }
    return nil
  }

  private func drain() {
    for track in tracks { try? track.drain(push) }
  }

  /// Hands a packet over; waits while the reader is too far ahead.
  private func push(_ packet: Packet) {
    _ = queue.wait { queue -> Void? in
      if queue.isStopped { return () }
      guard !queue.isFull else { return nil }
      queue.push(packet)
      return ()
    }
  }
}
