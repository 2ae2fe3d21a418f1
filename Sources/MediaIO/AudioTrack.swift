internal import CFFmpeg

/// Sound of any codec, encoded anew as AAC in stereo at 48 kHz.
@safe final class AudioTrack: Track {
  private static let sampleRate: Int32 = 48_000
  /// How far the samples may run from the input's clock before they are set to it again, in samples.
  private static let drift: Int64 = 4_800
  /// The most silence that is put into a gap at once, in samples; a longer one is skipped.
  private static let silenceLimit: Int64 = 3 * 48_000

  let isVideo = false
  let parameters: UnsafeMutablePointer<AVCodecParameters>
  let summary: String
  let bitRate: Int64? = 128_000
  let packetRate: Double?
  private let decoder: Decoder
  private let encoder: Encoder
  private let decoded: Frame
  private let resampled: Frame
  private let piece: Frame
  private let queue: OpaquePointer
  private var resampler: OpaquePointer?
  private var format: (rate: Int32, sample: Int32, channels: Int32) = (0, 0, 0)
  /// The time of the first sample in the queue, in samples since time zero.
  private var time: Int64?
  private var stream = 0

  init(_ source: Demuxer.Stream) throws(FFmpegError) {
    decoder = try Decoder.open(source)
    encoder = try unsafe Encoder.open("aac", options: []) { context in
      unsafe context.pointee.sample_rate = Self.sampleRate
      unsafe context.pointee.sample_fmt = AV_SAMPLE_FMT_FLTP
      unsafe context.pointee.ch_layout = freshet_STEREO()
      unsafe context.pointee.bit_rate = 128_000
      unsafe context.pointee.time_base = AVRational(num: 1, den: Self.sampleRate)
    }
    decoded = try Frame()
    resampled = try Frame()
    piece = try Frame()
    guard let queue = unsafe av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, 2, Self.sampleRate) else {
      throw .outOfMemory
    }
    unsafe self.queue = unsafe queue
    unsafe parameters = try encoder.makeParameters()
    packetRate = Double(Self.sampleRate) / 1024
    summary = unsafe describe(parameters, frameRate: AVRational(num: 0, den: 1))
  }

  deinit {
    unsafe swr_free(&resampler)
    unsafe av_audio_fifo_free(queue)
    var parameters: UnsafeMutablePointer<AVCodecParameters>? = unsafe parameters
    unsafe avcodec_parameters_free(&parameters)
  }

  func feed(_ packet: Packet, _ emit: (Packet) -> Void) throws(FFmpegError) {
    stream = packet.stream
    try decoder.decode(packet, into: decoded) { () throws(FFmpegError) in try resample(emit) }
  }

  func drain(_ emit: (Packet) -> Void) throws(FFmpegError) {
    try decoder.decode(nil, into: decoded) { () throws(FFmpegError) in try resample(emit) }
  }

  private func resample(_ emit: (Packet) -> Void) throws(FFmpegError) {
    let source = unsafe decoded.pointer
    guard unsafe source.pointee.nb_samples > 0 && source.pointee.sample_rate > 0 else { return }
    let now = unsafe (
      source.pointee.sample_rate, source.pointee.format, source.pointee.ch_layout.nb_channels
    )
    if unsafe resampler == nil || format != now {
      unsafe swr_free(&resampler)
      var stereo = unsafe freshet_STEREO()
      try check(
        unsafe swr_alloc_set_opts2(
          &resampler,
          &stereo,
          AV_SAMPLE_FMT_FLTP,
          Self.sampleRate,
          &source.pointee.ch_layout,
          AVSampleFormat(rawValue: source.pointee.format),
          source.pointee.sample_rate,
          0,
          nil
        )
      )
      try check(unsafe swr_init(resampler))
      format = now
    }
    let target = unsafe resampled.pointer
    unsafe av_frame_unref(target)
    unsafe target.pointee.format = AV_SAMPLE_FMT_FLTP.rawValue
    unsafe target.pointee.sample_rate = Self.sampleRate
    unsafe target.pointee.ch_layout = freshet_STEREO()
    try check(unsafe swr_convert_frame(resampler, target, source))
    let count = unsafe target.pointee.nb_samples
    guard count > 0 else { return }
    try align(to: unsafe source.pointee.best_effort_timestamp)
    try unsafe append(target)
    try drainQueue(emit)
  }

  /// Keeps the count of samples in step with the input's clock.
  private func align(to ticks: Int64) throws(FFmpegError) {
    guard ticks != freshet_AV_NOPTS_VALUE else {
      if time == nil { time = 0 }
      return
    }
    let start = av_rescale(ticks, Int64(Self.sampleRate), Timeline.rate)
    guard let time else {
      time = start
      return
    }
    let gap = start &- (time + Int64(unsafe av_audio_fifo_size(queue)))
    guard gap > Self.drift else { return }
    if gap > Self.silenceLimit {
      unsafe av_audio_fifo_reset(queue)
      self.time = start
      return
    }
    unsafe av_frame_unref(piece.pointer)
    try unsafe prepare(piece.pointer, samples: Int32(gap))
    unsafe av_samples_set_silence(
      piece.pointer.pointee.extended_data,
      0,
      Int32(gap),
      2,
      AV_SAMPLE_FMT_FLTP
    )
    try unsafe append(piece.pointer)
  }

  private func append(_ frame: UnsafeMutablePointer<AVFrame>) throws(FFmpegError) {
    try unsafe frame.pointee.extended_data.withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: 2) {
      data throws(FFmpegError) in
      _ = try check(unsafe av_audio_fifo_write(queue, data, frame.pointee.nb_samples))
    }
  }

  private func prepare(_ frame: UnsafeMutablePointer<AVFrame>, samples: Int32) throws(FFmpegError) {
    unsafe frame.pointee.nb_samples = samples
    unsafe frame.pointee.format = AV_SAMPLE_FMT_FLTP.rawValue
    unsafe frame.pointee.sample_rate = Self.sampleRate
    unsafe frame.pointee.ch_layout = freshet_STEREO()
    try check(unsafe av_frame_get_buffer(frame, 0))
  }

  private func drainQueue(_ emit: (Packet) -> Void) throws(FFmpegError) {
    let size = unsafe max(1, encoder.context.pointee.frame_size)
    while let start = time, unsafe av_audio_fifo_size(queue) >= size {
      unsafe av_frame_unref(piece.pointer)
      try unsafe prepare(piece.pointer, samples: size)
      unsafe piece.pointer.pointee.pts = start
      try unsafe piece.pointer.pointee.extended_data
        .withMemoryRebound(to: UnsafeMutableRawPointer?.self, capacity: 2) { data throws(FFmpegError) in
          _ = try check(unsafe av_audio_fifo_read(queue, data, size))
        }
      time = start + Int64(size)
      try encoder.encode(piece, stream: stream, emit)
    }
  }
}
