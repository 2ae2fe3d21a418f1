internal import CFFmpeg

/// One elementary stream on its way from the demuxer to the muxer.
///
/// Packets come in and leave with times in ticks of 90 kHz. Used by one thread at a time.
protocol Track: AnyObject {
  var isVideo: Bool { get }
  /// What the muxer is told about the stream.
  var parameters: UnsafeMutablePointer<AVCodecParameters> { get }
  /// The stream in words.
  var summary: String { get }
  /// Bits a second, if known.
  var bitRate: Int64? { get }
  /// Packets a second, if known.
  var packetRate: Double? { get }

  func feed(_ packet: Packet, _ emit: (Packet) -> Void) throws(FFmpegError)
  /// Gives out what is held back, because the input ends or begins anew.
  func drain(_ emit: (Packet) -> Void) throws(FFmpegError)
}
