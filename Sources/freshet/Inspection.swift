import Capture
import Glibc
import Inspect
import Net

/// `freshet inspect`: from a capture to lines on standard output.
struct Inspection: ~Copyable {
  /// How much is gathered before it is written, in bytes.
  private static let bufferSize = 1 << 16

  private let options: InspectOptions
  private let filter: Filter
  private var inspector: Inspector
  private var text: TextRenderer
  private let json = JSONRenderer()
  private var output = ""

  private init(_ options: InspectOptions, environment: [String: String]) {
    self.options = options
    filter = options.filter
    inspector = Inspector(link: options.link, port: options.port, keepsBytes: options.showsBytes)
    text = TextRenderer(
      width: Console.width(of: STDOUT_FILENO, otherwise: 100),
      inColor: Self.hasColor(environment)
    )
  }

  /// Inspects a file to its end, or an interface until a signal comes, and ends with a summary.
  static func run(_ options: InspectOptions, environment: [String: String]) throws {
    var inspection = Inspection(options, environment: environment)
    switch options.input {
    case .file(let path): try inspection.read(Recording.open(path))
    case .interface(let name, let port): try inspection.watch(name, port: port)
    }
  }

  /// Whether output is coloured: on a terminal, unless the user does not want it (no-color.org).
  private static func hasColor(_ environment: [String: String]) -> Bool {
    isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR", default: ""].isEmpty
      && environment["TERM"] != "dumb"
  }

  private mutating func read(_ recording: consuming Recording) throws {
    switch consume recording {
    case .frames(var capture):
      let layer = try layer(of: capture)
      while true {
        let step: Capture.Step
        do throws(CaptureError) {
          step = try capture.advance()
        } catch {
          // What was read before stands.
          try finish()
          throw error
        }
        guard step == .frame else { break }
        try show(inspector.inspect(frame: capture.bytes, layer, at: capture.time))
      }
    case .lines(var file):
      var number = 0
      var text = HexText()
      while let line = file.next(limit: HexText.limit) {
        number += 1
        let pieces: [HexText.Piece]
        do throws(HexError) {
          pieces = try text.read(line)
        } catch {
          for piece in text.finish() { try show(inspector.inspect(piece)) }
          try finish()
          throw CommandError("line \(number) is no datagram in hexadecimal digits: \(error)")
        }
        for piece in pieces { try show(inspector.inspect(piece)) }
      }
      for piece in text.finish() { try show(inspector.inspect(piece)) }
    }
    try finish()
  }

  private mutating func watch(_ name: String, port: UInt16) throws {
    // A later piece of an IP packet has no port.
    let filter = "udp port \(port) or (ip[6:2] & 0x1fff != 0) or (ip6[6] = 44)"
    let clock = Clock()
    var loop = try EventLoop(clock: clock)
    try loop.catchSignals()
    var capture = try Capture.watch(interface: name, filter: filter)
    let layer = try layer(of: capture)
    if let descriptor = capture.descriptor { try loop.watch(descriptor, token: 0) }
    let sentence = "watching UDP port \(port) on \(name == "any" ? "all interfaces" : name); Ctrl-C ends it\n"
    _ = Descriptor.write(sentence, to: STDERR_FILENO)
    var end: Duration?
    while end.map({ clock.now < $0 }) ?? true {
      // Signals are looked for between bursts.
      for _ in 0..<256 {
        guard try capture.advance() == .frame else { break }
        try show(inspector.inspect(frame: capture.bytes, layer, at: capture.time))
      }
      try flush()
      // A network without traffic tells nothing, and one that is removed neither.
      for case .signal in try loop.wait(for: .milliseconds(50)) {
        // What has been captured by now may still be on its way.
        end = end ?? clock.now + Capture.delay
      }
    }
    try finish(dropped: capture.dropped)
  }

  private func layer(of capture: borrowing Capture) throws(CommandError) -> LinkLayer {
    let type = capture.linkType
    if let layer = LinkLayer(rawValue: type.number) { return layer }
    throw CommandError(
      "frames of the link type \(type.name) cannot be read; Ethernet, Linux cooked, raw IP and loopback can"
    )
  }

  private mutating func show(_ finding: Inspector.Finding) throws(CommandError) {
    if case .datagram(let description) = finding { try write(description) }
  }

  private mutating func write(_ description: DatagramDescription) throws(CommandError) {
    guard !options.isQuiet, let shown = filter.apply(description) else { return }
    output += options.isJSON ? json.render(shown) : text.render(shown)
    if output.utf8.count >= Self.bufferSize { try flush() }
  }

  private mutating func finish(dropped: UInt64 = 0) throws(CommandError) {
    var summary = inspector.summary
    summary.dropped = dropped
    output += options.isJSON ? json.render(summary) : text.render(summary)
    try flush()
  }

  private mutating func flush() throws(CommandError) {
    guard !output.isEmpty else { return }
    defer { output = "" }
    guard let code = Descriptor.write(output, to: STDOUT_FILENO) else { return }
    throw CommandError("standard output cannot be written: \(unsafe String(cString: strerror(code)))")
  }
}
