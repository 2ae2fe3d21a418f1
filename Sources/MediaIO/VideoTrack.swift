internal import CFFmpeg

/// Pictures of any codec, encoded anew as H.264 without delay, with a random access point each second.
@safe final class VideoTrack: Track {
  let isVideo = true
  let parameters: UnsafeMutablePointer<AVCodecParameters>
  let summary: String
  let bitRate: Int64?
  let packetRate: Double?
  private let decoder: Decoder
  private let encoder: Encoder
  private let decoded: Frame
  private let scaled: Frame
  private var scaler: OpaquePointer?
  private var lastTime: Int64 = .min
  private var nextKey: Int64 = .min
  private var stream = 0

  init(_ source: Demuxer.Stream) throws(FFmpegError) {
    // The encoder takes even sizes only.
    let width = unsafe source.parameters.pointee.width & ~1
    let height = unsafe source.parameters.pointee.height & ~1
    guard width > 0, height > 0 else { throw FFmpegError(code: freshet_AVERROR_INVALIDDATA) }
    let isKnown = unsafe packetsPerSecond(source.parameters, frameRate: source.frameRate) != nil
    let rate = isKnown ? source.frameRate : AVRational(num: 25, den: 1)
    let frames = Double(rate.num) / Double(rate.den)
    let target = Int64(min(max(Double(width) * Double(height) * min(frames, 60) * 0.1, 300_000), 8_000_000))
    decoder = try Decoder.open(source)
    let aspect = unsafe source.parameters.pointee.sample_aspect_ratio
    encoder = try unsafe Encoder.open(
      "libx264",
      options: [("preset", "veryfast"), ("tune", "zerolatency"), ("forced-idr", "1")]
    ) { context in
      unsafe context.pointee.width = width
      unsafe context.pointee.height = height
      unsafe context.pointee.pix_fmt = AV_PIX_FMT_YUV420P
      unsafe context.pointee.sample_aspect_ratio = aspect
      unsafe context.pointee.time_base = ticksBase
      unsafe context.pointee.framerate = rate
      // Keys are forced by time; this is the bound for when times stand still.
      unsafe context.pointee.gop_size = Int32(max(1, min(2 * frames, 600)))
      unsafe context.pointee.max_b_frames = 0
      unsafe context.pointee.bit_rate = target
      unsafe context.pointee.rc_max_rate = target
      unsafe context.pointee.rc_buffer_size = Int32(target / 2)
    }
    decoded = try Frame()
    scaled = try Frame()
    unsafe parameters = try encoder.makeParameters()
    bitRate = target
    packetRate = frames
    summary = unsafe describe(parameters, frameRate: isKnown ? rate : AVRational(num: 0, den: 1))
    unsafe scaled.pointer.pointee.width = width
    unsafe scaled.pointer.pointee.height = height
    unsafe scaled.pointer.pointee.format = AV_PIX_FMT_YUV420P.rawValue
    try check(unsafe av_frame_get_buffer(scaled.pointer, 0))
  }

  deinit {
    unsafe sws_freeContext(scaler)
    var parameters: UnsafeMutablePointer<AVCodecParameters>? = unsafe parameters
    unsafe avcodec_parameters_free(&parameters)
  }

  func feed(_ packet: Packet, _ emit: (Packet) -> Void) throws(FFmpegError) {
    stream = packet.stream
    try decoder.decode(packet, into: decoded) { () throws(FFmpegError) in try encode(emit) }
  }

  func drain(_ emit: (Packet) -> Void) throws(FFmpegError) {
    // The encoder holds nothing back, and goes on when the input is looped.
    try decoder.decode(nil, into: decoded) { () throws(FFmpegError) in try encode(emit) }
  }

  private func encode(_ emit: (Packet) -> Void) throws(FFmpegError) {
    let source = unsafe decoded.pointer
    guard unsafe source.pointee.width > 0 && source.pointee.height > 0 else { return }
    let time = unsafe source.pointee.best_effort_timestamp
    guard time != freshet_AV_NOPTS_VALUE, time > lastTime else { return }
    lastTime = time
    let target = unsafe scaled.pointer
    unsafe scaler = unsafe sws_getCachedContext(
      scaler,
      source.pointee.width,
      source.pointee.height,
      AVPixelFormat(rawValue: source.pointee.format),
      target.pointee.width,
      target.pointee.height,
      AV_PIX_FMT_YUV420P,
      SWS_BILINEAR,
      nil,
      nil,
      nil
    )
    guard let scaler = unsafe scaler else { throw .outOfMemory }
    try check(unsafe av_frame_make_writable(target))
    try check(unsafe sws_scale_frame(scaler, target, source))
    unsafe target.pointee.pts = time
    if time >= nextKey {
      unsafe target.pointee.pict_type = AV_PICTURE_TYPE_I
      nextKey = time &+ Timeline.rate
    } else {
      unsafe target.pointee.pict_type = AV_PICTURE_TYPE_NONE
    }
    try encoder.encode(scaled, stream: stream, emit)
  }
}
