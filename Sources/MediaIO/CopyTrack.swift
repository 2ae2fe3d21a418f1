internal import CFFmpeg

/// A stream that MPEG-TS carries as it is.
@safe final class CopyTrack: Track {
  let isVideo: Bool
  let parameters: UnsafeMutablePointer<AVCodecParameters>
  let summary: String
  let packetRate: Double?
  private let filter: UnsafeMutablePointer<AVBSFContext>?

  static func carries(_ codec: AVCodecID) -> Bool {
    switch codec {
    case AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG1VIDEO,
      AV_CODEC_ID_AAC, AV_CODEC_ID_AAC_LATM, AV_CODEC_ID_MP3, AV_CODEC_ID_MP2, AV_CODEC_ID_AC3,
      AV_CODEC_ID_EAC3, AV_CODEC_ID_DTS, AV_CODEC_ID_OPUS:
      true
    default: false
    }
  }

  init(_ stream: Demuxer.Stream) throws(FFmpegError) {
    isVideo = stream.isVideo
    let codec = unsafe stream.parameters.pointee.codec_id
    summary = unsafe describe(stream.parameters, frameRate: stream.frameRate)
    packetRate = unsafe packetsPerSecond(stream.parameters, frameRate: stream.frameRate)
    guard let parameters = unsafe avcodec_parameters_alloc() else { throw .outOfMemory }
    unsafe self.parameters = parameters
    let name: String? =
      switch codec {
      case AV_CODEC_ID_H264: "h264_mp4toannexb"
      case AV_CODEC_ID_HEVC: "hevc_mp4toannexb"
      default: nil
      }
    var filter: UnsafeMutablePointer<AVBSFContext>?
    var status: Int32 = 0
    if let name {
      status = unsafe av_bsf_alloc(av_bsf_get_by_name(name), &filter)
      if let filter = unsafe filter {
        status = unsafe avcodec_parameters_copy(filter.pointee.par_in, stream.parameters)
        unsafe filter.pointee.time_base_in = ticksBase
        if status >= 0 { status = unsafe av_bsf_init(filter) }
      }
    }
    unsafe self.filter = unsafe filter
    try check(status)
    let source = unsafe filter?.pointee.par_out ?? stream.parameters
    try check(unsafe avcodec_parameters_copy(parameters, source))
    unsafe parameters.pointee.codec_tag = 0
  }

  deinit {
    var parameters: UnsafeMutablePointer<AVCodecParameters>? = unsafe parameters
    var filter = unsafe filter
    unsafe avcodec_parameters_free(&parameters)
    unsafe av_bsf_free(&filter)
  }

  var bitRate: Int64? {
    let rate = unsafe parameters.pointee.bit_rate
    return rate > 0 ? rate : nil
  }

  func feed(_ packet: Packet, _ emit: (Packet) -> Void) throws(FFmpegError) {
    guard let filter = unsafe filter else { return emit(packet) }
    let stream = packet.stream
    try check(unsafe av_bsf_send_packet(filter, packet.pointer))
    while true {
      let filtered = try Packet()
      let status = unsafe av_bsf_receive_packet(filter, filtered.pointer)
      if status == FFmpegError.again.code || status == FFmpegError.endOfFile.code { return }
      try check(status)
      filtered.stream = stream
      try repeatHeaders(filtered)
      emit(filtered)
    }
  }

  func drain(_ emit: (Packet) -> Void) {}

  /// Puts the parameter sets before a random access point that lacks them, so that a decoder can begin there.
  private func repeatHeaders(_ packet: Packet) throws(FFmpegError) {
    let extra = unsafe parameters.pointee.extradata
    let length = Int(unsafe parameters.pointee.extradata_size)
    guard packet.isKey, length > 4, let extra = unsafe extra, let data = unsafe packet.pointer.pointee.data
    else { return }
    let isHEVC = unsafe parameters.pointee.codec_id == AV_CODEC_ID_HEVC
    let bytes = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(data), byteCount: packet.size)
    if AnnexB.holdsParameterSet(bytes, isHEVC: isHEVC) { return }
    let headers = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(extra), byteCount: length)
    guard AnnexB.holdsParameterSet(headers, isHEVC: isHEVC) else { return }
    let size = packet.size
    try check(unsafe av_grow_packet(packet.pointer, Int32(length)))
    guard let grown = unsafe packet.pointer.pointee.data else { return }
    unsafe UnsafeMutableRawPointer(grown + length).copyMemory(from: grown, byteCount: size)
    unsafe UnsafeMutableRawPointer(grown).copyMemory(from: extra, byteCount: length)
  }
}
