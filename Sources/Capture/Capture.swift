internal import CPcap
internal import Glibc

/// Frames from a capture file or from a network interface, by libpcap.
@safe package struct Capture: ~Copyable {
  /// What looking for the next frame has led to.
  package enum Step: Hashable, Sendable {
    /// There is one: ``bytes``.
    case frame
    /// None is there now, and more may come.
    case nothing
    /// There are no more.
    case end
  }

  /// The longest part of a frame that is kept; above the longest IP packet.
  private static let snapshotLength: Int32 = 65_535 + 64
  /// The kernel's buffer, in bytes.
  private static let bufferSize: Int32 = 16 << 20
  /// How long a frame waits for others in its block, in milliseconds.
  private static let blockTime: Int32 = 50
  /// How long it takes at most until a frame can be read.
  package static let delay = Duration.milliseconds(2 * Int(blockTime))

  private let handle: OpaquePointer
  private var start: UnsafePointer<UInt8>?
  private var count = 0
  /// When the frame was captured, since the Unix epoch.
  package private(set) var time: Duration = .zero

  private init(adopting handle: OpaquePointer) { unsafe self.handle = handle }

  deinit { unsafe pcap_close(handle) }

  /// Reads an open file of the format pcap or pcapng, and closes it at the end.
  static func read(_ file: UnsafeMutablePointer<FILE>) throws(CaptureError) -> Capture {
    do throws(CaptureError) {
      return try unsafe withMessage { message in unsafe pcap_fopen_offline(file, message) }
    } catch {
      unsafe fclose(file)
      throw error
    }
  }

  /// Watches an interface, or `any`; `filter` is in libpcap's language.
  package static func watch(interface: String, filter: String) throws(CaptureError) -> Capture {
    let capture = try unsafe withMessage { message in unsafe pcap_create(interface, message) }
    unsafe pcap_set_snaplen(capture.handle, snapshotLength)
    unsafe pcap_set_buffer_size(capture.handle, bufferSize)
    // Frames come in blocks, which are packed; one by one, each would take room for the longest that there can be.
    unsafe pcap_set_timeout(capture.handle, blockTime)
    let status = unsafe pcap_activate(capture.handle)
    guard status >= 0 else {
      if status == PCAP_ERROR_PERM_DENIED || status == PCAP_ERROR_PROMISC_PERM_DENIED {
        throw CaptureError("watching datagrams needs root or CAP_NET_RAW: run it with sudo")
      }
      if status == PCAP_ERROR_NO_SUCH_DEVICE || status == PCAP_ERROR_IFACE_NOT_UP {
        throw CaptureError(
          "there is no network interface '\(interface)' that is up; 'any' watches all ('ip link' lists them)"
        )
      }
      throw CaptureError("\(interface) cannot be watched: \(capture.message(status))")
    }
    var program = unsafe bpf_program()
    guard unsafe pcap_compile(capture.handle, &program, filter, 1, UInt32.max) == 0 else {
      throw CaptureError("\(interface) cannot be filtered: \(capture.message(PCAP_ERROR))")
    }
    let applied = unsafe pcap_setfilter(capture.handle, &program)
    unsafe pcap_freecode(&program)
    guard applied == 0 else {
      throw CaptureError("\(interface) cannot be filtered: \(capture.message(PCAP_ERROR))")
    }
    try capture.stopBlocking()
    return capture
  }

  private func stopBlocking() throws(CaptureError) {
    let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(PCAP_ERRBUF_SIZE))
    defer { unsafe message.deallocate() }
    guard unsafe pcap_setnonblock(handle, 1, message) >= 0 else {
      throw CaptureError(unsafe String(cString: message))
    }
  }

  /// What begins a frame, by libpcap's number; and its name for a sentence.
  package var linkType: (number: Int32, name: String) {
    let number = unsafe pcap_datalink(handle)
    guard let name = unsafe pcap_datalink_val_to_name(number) else { return (number, "\(number)") }
    return (number, unsafe String(cString: name))
  }

  /// What tells of frames by being readable; nil for files.
  package var descriptor: Int32? {
    let descriptor = unsafe pcap_get_selectable_fd(handle)
    return descriptor < 0 ? nil : descriptor
  }

  /// How many frames the kernel threw away because nobody took them in time.
  package var dropped: UInt64 {
    var statistics = pcap_stat()
    return unsafe pcap_stats(handle, &statistics) == 0 ? UInt64(statistics.ps_drop) : 0
  }

  /// Goes to the next frame; that of before is gone then.
  ///
  /// A file blocks, an interface that is watched does not.
  package mutating func advance() throws(CaptureError) -> Step {
    unsafe start = nil
    count = 0
    var header: UnsafeMutablePointer<pcap_pkthdr>?
    var bytes: UnsafePointer<UInt8>?
    let status = unsafe pcap_next_ex(handle, &header, &bytes)
    switch status {
    case 1:
      guard let header = unsafe header?.pointee, let bytes = unsafe bytes else { return .nothing }
      unsafe start = bytes
      count = Int(header.caplen)
      time = .seconds(Int64(header.ts.tv_sec)) + .microseconds(Int64(header.ts.tv_usec))
      return .frame
    case 0: return .nothing
    case PCAP_ERROR_BREAK: return .end
    default: throw CaptureError("the capture cannot be read further: \(message(status))")
    }
  }

  /// What was captured of the frame.
  package var bytes: Span<UInt8> {
    @_lifetime(borrow self)
    borrowing get {
      let buffer = unsafe UnsafeBufferPointer(start: start, count: count)
      return unsafe _overrideLifetime(Span(_unsafeElements: buffer), borrowing: self)
    }
  }

  private borrowing func message(_ status: Int32) -> String {
    let text =
      unsafe status == PCAP_ERROR || status == PCAP_WARNING
      ? String(cString: pcap_geterr(handle)) : String(cString: pcap_statustostr(status))
    return text.isEmpty ? "error \(status)" : text
  }

  /// Opens something, or throws what libpcap says about it.
  private static func withMessage(
    _ open: (UnsafeMutablePointer<CChar>) -> OpaquePointer?
  ) throws(CaptureError) -> Capture {
    let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(PCAP_ERRBUF_SIZE))
    defer { unsafe message.deallocate() }
    unsafe message[0] = 0
    guard let handle = unsafe open(message) else { throw CaptureError(unsafe String(cString: message)) }
    return unsafe Capture(adopting: handle)
  }
}

/// Why there is no capture, as one sentence.
package struct CaptureError: Error, Hashable, CustomStringConvertible {
  package let description: String

  init(_ description: String) { self.description = description }
}
