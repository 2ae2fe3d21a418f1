internal import CFFmpeg

/// Describes an elementary stream: `H.264 640x360 25 fps`, `AAC 44.1 kHz stereo`.
func describe(_ parameters: UnsafePointer<AVCodecParameters>, frameRate: AVRational) -> String {
  let codec = codecName(unsafe parameters.pointee.codec_id)
  if unsafe parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO {
    let width = unsafe parameters.pointee.width
    let height = unsafe parameters.pointee.height
    let size = width > 0 && height > 0 ? " \(width)x\(height)" : ""
    guard let rate = number(frameRate) else { return codec + size }
    return codec + size + " \(decimal(rate)) fps"
  }
  let rate = unsafe parameters.pointee.sample_rate
  let channels = unsafe parameters.pointee.ch_layout.nb_channels
  let layout =
    switch channels {
    case 1: " mono"
    case 2: " stereo"
    case 6: " 5.1"
    case 8: " 7.1"
    case ..<1: ""
    default: " \(channels) channels"
    }
  return codec + (rate > 0 ? " \(decimal(Double(rate) / 1000)) kHz" : "") + layout
}

/// How often packets of this stream come, as far as its parameters tell.
func packetsPerSecond(_ parameters: UnsafePointer<AVCodecParameters>, frameRate: AVRational) -> Double? {
  if unsafe parameters.pointee.codec_type == AVMEDIA_TYPE_VIDEO { return number(frameRate) }
  let size = unsafe parameters.pointee.frame_size
  let rate = unsafe parameters.pointee.sample_rate
  return size > 0 && rate > 0 ? Double(rate) / Double(size) : nil
}

func codecName(_ codec: AVCodecID) -> String {
  switch codec {
  case AV_CODEC_ID_H264: "H.264"
  case AV_CODEC_ID_HEVC: "HEVC"
  case AV_CODEC_ID_MPEG2VIDEO: "MPEG-2 video"
  case AV_CODEC_ID_MPEG1VIDEO: "MPEG-1 video"
  case AV_CODEC_ID_AAC, AV_CODEC_ID_AAC_LATM: "AAC"
  case AV_CODEC_ID_MP3: "MP3"
  case AV_CODEC_ID_MP2: "MP2"
  case AV_CODEC_ID_AC3: "AC-3"
  case AV_CODEC_ID_EAC3: "E-AC-3"
  case AV_CODEC_ID_OPUS: "Opus"
  case AV_CODEC_ID_VP8: "VP8"
  case AV_CODEC_ID_VP9: "VP9"
  case AV_CODEC_ID_VORBIS: "Vorbis"
  default: unsafe String(cString: avcodec_get_name(codec))
  }
}

private func number(_ rate: AVRational) -> Double? {
  guard rate.num > 0, rate.den > 0 else { return nil }
  let value = Double(rate.num) / Double(rate.den)
  // Beyond this it is a time base that was taken for a rate.
  return value < 1000 ? value : nil
}

/// At most two decimals, and none that are zero.
private func decimal(_ value: Double) -> String {
  let hundredths = Int((value * 100).rounded())
  let (whole, rest) = hundredths.quotientAndRemainder(dividingBy: 100)
  if rest == 0 { return "\(whole)" }
  if rest % 10 == 0 { return "\(whole).\(rest / 10)" }
  return "\(whole).\(rest < 10 ? "0" : "")\(rest)"
}
