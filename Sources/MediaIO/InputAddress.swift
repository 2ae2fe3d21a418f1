internal import CFFmpeg

/// What the input that a user typed stands for.
struct InputAddress: Equatable {
  enum Kind: Equatable {
    /// A file, or anything else that is read as fast as it is asked for.
    case file
    case standardInput
    /// A sender that keeps its own time.
    case liveNetwork
    /// A libavdevice input of this format name.
    case device(String)
  }

  let text: String
  let kind: Kind
  /// What libavformat is given to open.
  let url: String
  /// Options for the protocol or the device.
  let options: [String: String]

  /// Protocols whose sender keeps its own time.
  private static let liveSchemes: Set<String> = [
    "srt", "rtmp", "rtmps", "rtmpt", "rtmpe", "rtmpte", "rtmpts", "rtsp", "rtsps", "rtp", "srtp", "udp",
    "udplite", "tcp", "tls", "unix", "rist", "sctp", "zmq",
  ]

  init(_ text: String) {
    var options: [String: String] = [:]
    if text == "-" || text == "pipe:" || text == "pipe:0" {
      self.init(text: text, kind: .standardInput, url: "pipe:0", options: [:])
      return
    }
    guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
      // A name that begins with a dash or holds odd characters is still a file's name.
      self.init(text: text, kind: .file, url: "file:" + text, options: [:])
      return
    }
    let scheme = String(text[..<colon])
    let rest = text[text.index(after: colon)...]
    if rest.hasPrefix("//") {
      let scheme = scheme.lowercased()
      guard Self.liveSchemes.contains(scheme) else {
        self.init(text: text, kind: .file, url: text, options: [:])
        return
      }
      var url = text
      if scheme == "udp" {
        // A burst that overflows the buffer costs packets, not the stream.
        options["overrun_nonfatal"] = "1"
      }
      if scheme.hasPrefix("rtmp") {
        let (stripped, listens) = Self.removingListen(from: text)
        url = stripped
        let host = rest.dropFirst(2)
        if listens || host.hasPrefix("0.0.0.0") || host.hasPrefix("[::]") {
          options["listen"] = "1"
        }
      }
      self.init(text: text, kind: .liveNetwork, url: url, options: options)
      return
    }
    if Devices.has(scheme) {
      var url = String(rest)
      // A filter graph may hold a question mark of its own.
      if scheme != "lavfi", let mark = url.lastIndex(of: "?") {
        options = Self.parse(url[url.index(after: mark)...])
        url = String(url[..<mark])
      }
      self.init(text: text, kind: .device(scheme), url: url, options: options)
      return
    }
    let isProtocol = scheme.allSatisfy { $0.isLetter || $0.isNumber } && Self.isProtocol(scheme)
    self.init(text: text, kind: .file, url: isProtocol ? text : "file:" + text, options: [:])
  }

  private init(text: String, kind: Kind, url: String, options: [String: String]) {
    self.text = text
    self.kind = kind
    self.url = url
    self.options = options
  }

  /// The same place as an address that waits for a publisher, if this one goes to it and its protocol can wait.
  var listening: String? {
    guard options["listen"] == nil, let mark = text.firstRange(of: "://") else { return nil }
    let scheme = text[..<mark.lowerBound].lowercased()
    let rest = text[mark.upperBound...]
    switch scheme {
    case "rtmp":
      let path = rest.firstIndex(of: "/") ?? rest.endIndex
      // The colon before the port stands behind the bracket of an IPv6 address.
      let host = rest[..<path]
      let bracket = host.firstIndex(of: "]") ?? host.startIndex
      let port = host[bracket...].firstIndex(of: ":").map { host[$0...] } ?? ":1935"
      return "rtmp://0.0.0.0\(port)\(rest[path...])"
    case "tcp" where !rest.contains("listen"): return text + (rest.contains("?") ? "&" : "?") + "listen"
    case "srt" where !rest.contains("mode="):
      return text + (rest.contains("?") ? "&" : "?") + "mode=listener"
    default: return nil
    }
  }

  /// Whether the text has the form of a device's address, though perhaps no known device's.
  var mayBeDevice: Bool { text.contains(":") && !text.contains("://") }

  var isDevice: Bool {
    if case .device = kind { true } else { false }
  }

  /// Whether packets arrive by the sender's clock, so that they are passed on as they come.
  var isLive: Bool {
    switch kind {
    case .file, .standardInput: false
    case .liveNetwork: true
    // A filter graph runs as fast as it is read.
    case .device(let name): name != "lavfi"
    }
  }

  /// Takes `listen` out of the query: libavformat wants it as an option for RTMP.
  private static func removingListen(from text: String) -> (String, Bool) {
    guard let mark = text.lastIndex(of: "?") else { return (text, false) }
    var listens = false
    let kept = text[text.index(after: mark)...].split(separator: "&").filter { pair in
      guard pair == "listen" || pair.hasPrefix("listen=") else { return true }
      listens = listens || pair != "listen=0"
      return false
    }
    let query = kept.isEmpty ? "" : "?" + kept.joined(separator: "&")
    return (String(text[..<mark]) + query, listens)
  }

  private static func parse(_ query: Substring) -> [String: String] {
    var options: [String: String] = [:]
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { continue }
      options[String(parts[0])] = String(parts[1])
    }
    return options
  }

  private static func isProtocol(_ name: String) -> Bool {
    var state: UnsafeMutableRawPointer?
    while let known = unsafe avio_enum_protocols(&state, 0) {
      if unsafe String(cString: known) == name { return true }
    }
    return false
  }

  /// libavformat's network part is started and its logging silenced, once.
  static let prepareLibrary: Void = {
    av_log_set_level(AV_LOG_QUIET)
    avformat_network_init()
  }()
}
