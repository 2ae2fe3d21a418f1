internal import CFFmpeg

/// A libavcodec decoder, fed packets with times in ticks of 90 kHz.
@safe struct Decoder: ~Copyable {
  private let context: UnsafeMutablePointer<AVCodecContext>

  private init(adopting context: UnsafeMutablePointer<AVCodecContext>) {
    unsafe self.context = context
  }

  static func open(_ stream: Demuxer.Stream) throws(FFmpegError) -> Decoder {
    guard let codec = unsafe avcodec_find_decoder(stream.parameters.pointee.codec_id) else {
      throw FFmpegError(code: freshet_AVERROR(ENOSYS))
    }
    guard let context = unsafe avcodec_alloc_context3(codec) else { throw .outOfMemory }
    let decoder = unsafe Decoder(adopting: context)
    try check(unsafe avcodec_parameters_to_context(context, stream.parameters))
    unsafe context.pointee.pkt_timebase = ticksBase
    try check(unsafe avcodec_open2(context, codec, nil))
    return decoder
  }

  deinit {
    var context: UnsafeMutablePointer<AVCodecContext>? = unsafe context
    unsafe avcodec_free_context(&context)
  }

  /// Decodes a packet, or what is held back when there is none; damaged packets yield nothing.
  func decode(
    _ packet: Packet?,
    into frame: borrowing Frame,
    _ take: () throws(FFmpegError) -> Void
  ) throws(FFmpegError) {
    let sent = unsafe avcodec_send_packet(context, packet?.pointer)
    if sent == FFmpegError.outOfMemory.code { throw .outOfMemory }
    while true {
      let status = unsafe avcodec_receive_frame(context, frame.pointer)
      if status == FFmpegError.outOfMemory.code { throw .outOfMemory }
      if status < 0 { break }
      defer { frame.clear() }
      try take()
    }
    if packet == nil { unsafe avcodec_flush_buffers(context) }
  }
}

/// A libavcodec encoder that has been opened.
@safe struct Encoder: ~Copyable {
  let context: UnsafeMutablePointer<AVCodecContext>

  /// Opens an encoder whose fields `configure` sets first.
  static func open(
    _ name: String,
    options: [(String, String)],
    configure: (UnsafeMutablePointer<AVCodecContext>) -> Void
  ) throws(FFmpegError) -> Encoder {
    guard let codec = unsafe avcodec_find_encoder_by_name(name) else {
      throw FFmpegError(code: freshet_AVERROR(ENOSYS))
    }
    guard let context = unsafe avcodec_alloc_context3(codec) else { throw .outOfMemory }
    let encoder = unsafe Encoder(adopting: context)
    unsafe configure(context)
    var dictionary: OpaquePointer?
    defer { unsafe av_dict_free(&dictionary) }
    for (key, value) in options { unsafe av_dict_set(&dictionary, key, value, 0) }
    try check(unsafe avcodec_open2(context, codec, &dictionary))
    return encoder
  }

  private init(adopting context: UnsafeMutablePointer<AVCodecContext>) {
    unsafe self.context = context
  }

  deinit {
    var context: UnsafeMutablePointer<AVCodecContext>? = unsafe context
    unsafe avcodec_free_context(&context)
  }

  /// Encodes a frame and hands out the packets that are ready.
  func encode(
    _ frame: borrowing Frame,
    stream: Int,
    _ emit: (Packet) -> Void
  ) throws(FFmpegError) {
    try check(unsafe avcodec_send_frame(context, frame.pointer))
    while true {
      let packet = try Packet()
      let status = unsafe avcodec_receive_packet(context, packet.pointer)
      if status == FFmpegError.again.code || status == FFmpegError.endOfFile.code { return }
      try check(status)
      packet.stream = stream
      unsafe av_packet_rescale_ts(packet.pointer, context.pointee.time_base, ticksBase)
      emit(packet)
    }
  }

  func makeParameters() throws(FFmpegError) -> UnsafeMutablePointer<AVCodecParameters> {
    guard let parameters = unsafe avcodec_parameters_alloc() else { throw .outOfMemory }
    try check(unsafe avcodec_parameters_from_context(parameters, context))
    return unsafe parameters
  }
}
