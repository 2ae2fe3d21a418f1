internal import CFFmpeg
internal import Glibc
internal import Synchronization

/// A flag that ends blocking calls of libav from another thread.
final class Interruption: Sendable {
  private let isRaised = Atomic(false)

  func raise() { isRaised.store(true, ordering: .releasing) }
  var raised: Bool { isRaised.load(ordering: .acquiring) }
}

/// An opened input of libavformat.
@safe struct Demuxer: ~Copyable {
  /// One elementary stream of the input.
  @safe struct Stream {
    let index: Int
    let isVideo: Bool
    let base: AVRational
    let frameRate: AVRational
    let parameters: UnsafeMutablePointer<AVCodecParameters>
  }

  private let context: UnsafeMutablePointer<AVFormatContext>
  private let interruption: Interruption
  private let isPiped: Bool

  private init(
    adopting context: UnsafeMutablePointer<AVFormatContext>,
    interruption: Interruption,
    isPiped: Bool
  ) {
    unsafe self.context = context
    self.interruption = interruption
    self.isPiped = isPiped
  }

  deinit {
    var context: UnsafeMutablePointer<AVFormatContext>? = unsafe context
    var piped = isPiped ? unsafe self.context.pointee.pb : nil
    unsafe avformat_close_input(&context)
    if let open = unsafe piped {
      unsafe av_freep(&open.pointee.buffer)
      unsafe avio_context_free(&piped)
    }
  }

  /// Opens an input and finds out what is in it; blocks until data, or a publisher, has come.
  static func open(_ address: InputAddress, interruption: Interruption) throws(MediaError) -> Demuxer {
    _ = InputAddress.prepareLibrary
    var format: UnsafePointer<AVInputFormat>?
    if case .device(let name) = address.kind { unsafe format = unsafe av_find_input_format(name) }
    guard let fresh = unsafe avformat_alloc_context() else {
      throw MediaError("cannot open '\(address.text)': \(FFmpegError.outOfMemory)")
    }
    unsafe fresh.pointee.interrupt_callback = unsafe AVIOInterruptCB(
      callback: { opaque in
        guard let opaque = unsafe opaque else { return 0 }
        return unsafe Unmanaged<Interruption>.fromOpaque(opaque).takeUnretainedValue().raised ? 1 : 0
      },
      opaque: Unmanaged.passUnretained(interruption).toOpaque()
    )
    unsafe tune(fresh, for: address)
    let isPiped = address.kind == .standardInput
    if isPiped {
      unsafe fresh.pointee.pb = unsafe standardInput(interruption)
      unsafe fresh.pointee.flags |= AVFMT_FLAG_CUSTOM_IO
    }
    var options: OpaquePointer?
    for (key, value) in address.options { unsafe av_dict_set(&options, key, value, 0) }
    defer { unsafe av_dict_free(&options) }

    // A context that fails to open is freed by the call; the pipe's is not.
    var piped = isPiped ? unsafe fresh.pointee.pb : nil
    var context: UnsafeMutablePointer<AVFormatContext>? = unsafe fresh
    let status = unsafe avformat_open_input(&context, address.url, format, &options)
    guard status >= 0, let context = unsafe context else {
      if let open = unsafe piped {
        unsafe av_freep(&open.pointee.buffer)
        unsafe avio_context_free(&piped)
      }
      throw MediaError("cannot open '\(address.text)': \(reason(status, address))")
    }
    if let unknown = unsafe av_dict_get(options, "", nil, AV_DICT_IGNORE_SUFFIX),
      case .device(let name) = address.kind
    {
      let key = unsafe String(cString: unknown.pointee.key)
      _ = unsafe Demuxer(adopting: context, interruption: interruption, isPiped: isPiped)
      throw MediaError("cannot open '\(address.text)': \(name) has no option '\(key)'")
    }
    let demuxer = unsafe Demuxer(adopting: context, interruption: interruption, isPiped: isPiped)
    let probed = unsafe avformat_find_stream_info(context, nil)
    if interruption.raised { throw MediaError("cannot open '\(address.text)': stopped") }
    if probed < 0, demuxer.streamCount == 0 {
      throw MediaError("cannot open '\(address.text)': \(reason(probed, address))")
    }
    return demuxer
  }

  private static func reason(_ status: Int32, _ address: InputAddress) -> String {
    let error = FFmpegError(code: status)
    switch error {
    case .exit: return "stopped"
    case .endOfFile: return "it is empty"
    case FFmpegError(code: freshet_AVERROR_INVALIDDATA):
      var status = stat()
      if address.kind == .file, unsafe stat(address.text, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
        status.st_size == 0
      {
        return "it is empty"
      }
      return "not a media file, or one that is damaged at its head"
    // libsrt's own reasons do not come through libavformat.
    case FFmpegError(code: freshet_AVERROR(ECONNREFUSED)),
      FFmpegError(code: freshet_AVERROR(EIO)) where address.url.hasPrefix("srt:"):
      let said = error.code == freshet_AVERROR(EIO) ? "nobody answers there" : "\(error)"
      guard let listening = address.listening else { return said }
      return "\(said); to wait until OBS or another program publishes there, write \(listening)"
    default:
      guard address.mayBeDevice, let failure = Devices.failure else { return "\(error)" }
      return "\(error); if a device is meant, there is none without libavdevice (\(failure))"
    }
  }

  /// Live inputs are probed for a short time only: what is read meanwhile is delay.
  private static func tune(_ context: UnsafeMutablePointer<AVFormatContext>, for address: InputAddress) {
    switch address.kind {
    case .file:
      // Files that store no presentation times get them made.
      unsafe context.pointee.flags |= AVFMT_FLAG_GENPTS
    case .standardInput, .liveNetwork:
      unsafe context.pointee.max_analyze_duration = 1_000_000
    case .device:
      // What was captured while probing is stale; a filter graph has no such haste.
      if address.isLive { unsafe context.pointee.flags |= AVFMT_FLAG_NOBUFFER }
      unsafe context.pointee.max_analyze_duration = 200_000
      unsafe context.pointee.probesize = 1 << 25
    }
  }

  /// Standard input as libav reads it, without a read that cannot be interrupted.
  private static func standardInput(_ interruption: Interruption) -> UnsafeMutablePointer<AVIOContext>? {
    let size: Int32 = 1 << 16
    guard let buffer = unsafe av_malloc(Int(size)) else { return nil }
    return unsafe avio_alloc_context(
      buffer.assumingMemoryBound(to: UInt8.self),
      size,
      0,
      Unmanaged.passUnretained(interruption).toOpaque(),
      { opaque, bytes, count in
        guard let opaque = unsafe opaque, let bytes = unsafe bytes else { return freshet_AVERROR(EINVAL) }
        let interruption = unsafe Unmanaged<Interruption>.fromOpaque(opaque).takeUnretainedValue()
        while !interruption.raised {
          var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
          let ready = unsafe poll(&descriptor, 1, 50)
          if ready == 0 || (ready < 0 && errno == EINTR) { continue }
          let got = unsafe Glibc.read(STDIN_FILENO, bytes, Int(count))
          if got > 0 { return Int32(got) }
          if got == 0 { return freshet_AVERROR_EOF }
          if errno != EINTR && errno != EAGAIN { return freshet_AVERROR(errno) }
        }
        return freshet_AVERROR_EXIT
      },
      nil,
      nil
    )
  }

  var streamCount: Int { Int(unsafe context.pointee.nb_streams) }

  /// The input's earliest presentation time in ticks of 90 kHz.
  var start: Int64? {
    ticks(unsafe context.pointee.start_time, from: freshet_AV_TIME_BASE_Q())
  }

  /// What the container says its bit rate is; zero when it says nothing.
  var bitRate: Int64 { unsafe context.pointee.bit_rate }

  /// Whether a packet that is cut short is of no use: true but for transport streams.
  var dropsDamaged: Bool {
    guard let name = unsafe context.pointee.iformat.pointee.name else { return true }
    return unsafe String(cString: name) != "mpegts"
  }

  /// The best video and the best audio stream; the others are told to be skipped.
  func selectStreams() -> [Stream] {
    var selected: [Stream] = []
    if let video = best(AVMEDIA_TYPE_VIDEO) { selected.append(video) }
    if let audio = best(AVMEDIA_TYPE_AUDIO) { selected.append(audio) }
    for index in 0..<streamCount where !selected.contains(where: { $0.index == index }) {
      unsafe context.pointee.streams[index]?.pointee.discard = AVDISCARD_ALL
    }
    return selected
  }

  private func best(_ type: AVMediaType) -> Stream? {
    var index = Int(unsafe av_find_best_stream(context, type, -1, -1, nil, 0))
    if !isUsable(index, type) {
      guard let other = (0..<streamCount).first(where: { isUsable($0, type) }) else { return nil }
      index = other
    }
    guard let stream = unsafe context.pointee.streams[index], let parameters = unsafe stream.pointee.codecpar
    else { return nil }
    let average = unsafe stream.pointee.avg_frame_rate
    return unsafe Stream(
      index: index,
      isVideo: type == AVMEDIA_TYPE_VIDEO,
      base: stream.pointee.time_base,
      frameRate: average.num > 0 && average.den > 0 ? average : stream.pointee.r_frame_rate,
      parameters: parameters
    )
  }

  /// Whether a stream is of the type, of a known codec, and no cover picture.
  private func isUsable(_ index: Int, _ type: AVMediaType) -> Bool {
    guard index >= 0, index < streamCount, let stream = unsafe context.pointee.streams[index],
      let parameters = unsafe stream.pointee.codecpar
    else { return false }
    return unsafe parameters.pointee.codec_type == type
      && parameters.pointee.codec_id != AV_CODEC_ID_NONE
      && stream.pointee.disposition & AV_DISPOSITION_ATTACHED_PIC == 0
  }

  /// Reads the next packet into `packet`.
  ///
  /// - Returns: the index of its stream in the input.
  func read(into packet: Packet) throws(FFmpegError) -> Int {
    unsafe av_packet_unref(packet.pointer)
    try check(unsafe av_read_frame(context, packet.pointer))
    return Int(unsafe packet.pointer.pointee.stream_index)
  }
}
