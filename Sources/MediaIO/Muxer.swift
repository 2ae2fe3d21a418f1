internal import CFFmpeg

/// libavformat's MPEG-TS muxer, writing into memory.
@safe final class Muxer {
  private let context: UnsafeMutablePointer<AVFormatContext>
  private let output = Output()
  private var lastDecoding: [Int64] = []

  private final class Output {
    var bytes: [UInt8] = []
  }

  init(_ tracks: [any Track]) throws(FFmpegError) {
    var created: UnsafeMutablePointer<AVFormatContext>?
    try check(unsafe avformat_alloc_output_context2(&created, nil, "mpegts", nil))
    guard let context = unsafe created else { throw .outOfMemory }
    unsafe self.context = unsafe context
    // A multiple of the packet size, so that every call brings whole packets.
    let size = 64 * TransportStream.packetSize
    guard let buffer = unsafe av_malloc(size) else { throw .outOfMemory }
    unsafe context.pointee.pb = unsafe avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self),
      Int32(size),
      1,
      Unmanaged.passUnretained(output).toOpaque(),
      nil,
      { opaque, bytes, count in
        guard let opaque = unsafe opaque, let bytes = unsafe bytes, count > 0 else { return 0 }
        let output = unsafe Unmanaged<Output>.fromOpaque(opaque).takeUnretainedValue()
        unsafe output.bytes.append(contentsOf: UnsafeBufferPointer(start: bytes, count: Int(count)))
        return count
      },
      nil
    )
    unsafe context.pointee.max_delay = 0
    unsafe context.pointee.avoid_negative_ts = 0
    unsafe context.pointee.flags |= AVFMT_FLAG_FLUSH_PACKETS | AVFMT_FLAG_CUSTOM_IO
    for track in tracks {
      guard let stream = unsafe avformat_new_stream(context, nil) else { throw .outOfMemory }
      try check(unsafe avcodec_parameters_copy(stream.pointee.codecpar, track.parameters))
      unsafe stream.pointee.codecpar.pointee.codec_tag = 0
      unsafe stream.pointee.time_base = ticksBase
      lastDecoding.append(.min / 2)
    }
    var options: OpaquePointer?
    defer { unsafe av_dict_free(&options) }
    // Tables only where they are asked for; sound is not held back to fill a longer PES packet; lengths are
    // written, so that a receiver need not wait for the next picture to know that this one is whole.
    for (key, value) in [
      ("pat_period", "1000000"), ("sdt_period", "1000000"), ("pes_payload_size", "0"),
      ("omit_video_pes_length", "0"),
    ] {
      unsafe av_dict_set(&options, key, value, 0)
    }
    try check(unsafe avformat_write_header(context, &options))
  }

  deinit {
    if let io = unsafe context.pointee.pb {
      var pointer: UnsafeMutablePointer<AVIOContext>? = unsafe io
      unsafe av_freep(&io.pointee.buffer)
      unsafe avio_context_free(&pointer)
    }
    unsafe avformat_free_context(context)
  }

  /// Muxes one packet, the program's tables before it if asked, and hands out what it became.
  func write(
    _ packet: Packet,
    withTables: Bool,
    _ emit: (ArraySlice<UInt8>) -> Void
  ) throws(FFmpegError) {
    let stream = packet.stream
    unsafe packet.pointer.pointee.stream_index = Int32(stream)
    let decoding = unsafe max(packet.pointer.pointee.dts, lastDecoding[stream] + 1)
    lastDecoding[stream] = decoding
    unsafe packet.pointer.pointee.dts = decoding
    unsafe packet.pointer.pointee.pts = max(packet.pointer.pointee.pts, decoding)
    if withTables {
      unsafe av_opt_set(context.pointee.priv_data, "mpegts_flags", "+resend_headers", 0)
    }
    let status = unsafe av_write_frame(context, packet.pointer)
    // A short sound packet would wait for the next one.
    unsafe av_write_frame(context, nil)
    unsafe avio_flush(context.pointee.pb)
    hand(emit)
    try check(status)
  }

  /// Ends the stream.
  func finish(_ emit: (ArraySlice<UInt8>) -> Void) {
    unsafe av_write_trailer(context)
    unsafe avio_flush(context.pointee.pb)
    hand(emit)
  }

  private func hand(_ emit: (ArraySlice<UInt8>) -> Void) {
    let size = TransportStream.packetSize
    var offset = 0
    while offset + size <= output.bytes.count {
      emit(output.bytes[offset..<offset + size])
      offset += size
    }
    output.bytes.removeAll(keepingCapacity: true)
  }
}
