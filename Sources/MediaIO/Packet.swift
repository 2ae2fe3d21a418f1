internal import CFFmpeg

/// One packet of libavcodec's, with its data, owned.
///
/// A packet passes from the thread that reads to the thread that writes; it is never in both.
@safe final class Packet: @unchecked Sendable {
  // Sendable: a queue behind a lock hands it over, and the giver keeps no reference that it uses.
  let pointer: UnsafeMutablePointer<AVPacket>
  /// Index of the output stream that it belongs to.
  var stream = 0

  init() throws(FFmpegError) {
    guard let pointer = unsafe av_packet_alloc() else { throw .outOfMemory }
    unsafe self.pointer = unsafe pointer
  }

  deinit {
    var pointer: UnsafeMutablePointer<AVPacket>? = unsafe pointer
    unsafe av_packet_free(&pointer)
  }

  var size: Int { Int(unsafe pointer.pointee.size) }
  var isKey: Bool { unsafe pointer.pointee.flags & AV_PKT_FLAG_KEY != 0 }

  /// Sets times in ticks of 90 kHz.
  func stamp(_ stamp: Timeline.Stamp) {
    unsafe pointer.pointee.pts = stamp.presentation
    unsafe pointer.pointee.dts = stamp.decoding
    unsafe pointer.pointee.duration = stamp.duration
  }

  /// The times, where the packet has them, converted from a time base to ticks of 90 kHz.
  func times(from base: AVRational) -> (presentation: Int64?, decoding: Int64?, duration: Int64) {
    let duration = unsafe pointer.pointee.duration
    return (
      ticks(unsafe pointer.pointee.pts, from: base), ticks(unsafe pointer.pointee.dts, from: base),
      duration > 0 ? ticks(duration, from: base) ?? 0 : 0
    )
  }
}

/// The time base in which everything after the demuxer counts.
var ticksBase: AVRational { AVRational(num: 1, den: Int32(Timeline.rate)) }

/// Converts a time to ticks of 90 kHz; nil when there is none.
func ticks(_ time: Int64, from base: AVRational) -> Int64? {
  guard time != freshet_AV_NOPTS_VALUE, base.num > 0, base.den > 0 else { return nil }
  let result = av_rescale_q(time, base, ticksBase)
  return result == .min ? nil : result
}

/// One decoded picture or piece of sound, owned.
@safe struct Frame: ~Copyable {
  let pointer: UnsafeMutablePointer<AVFrame>

  init() throws(FFmpegError) {
    guard let pointer = unsafe av_frame_alloc() else { throw .outOfMemory }
    unsafe self.pointer = unsafe pointer
  }

  deinit {
    var pointer: UnsafeMutablePointer<AVFrame>? = unsafe pointer
    unsafe av_frame_free(&pointer)
  }

  func clear() { unsafe av_frame_unref(pointer) }
}
