internal import JSON5
package import PluginKit

/// What one peer recorded of itself with `--record-events`.
package struct Recording: Hashable, Sendable {
  /// A link to another peer, as it was at one time.
  package struct Link: Hashable, Sendable {
    package var peer: String
    package var roundTrip: Duration?
    /// Bytes of chunks since the link began.
    package var sent: UInt64
    package var lost: UInt64
    package var upload: UInt64?
  }

  /// One second.
  package struct Moment: Hashable, Sendable {
    /// Since 1970.
    package var at: Duration
    /// Of the stream, in bits per second; 0 while it is not known.
    package var rate: UInt64
    package var depth: Int?
    package var parent: String?
    /// Bytes that the peer has sent.
    package var out: UInt64
    package var links: [Link]
  }

  /// The longest line, in bytes, and the most seconds of one recording.
  package static let lineLimit = 1 << 20
  package static let momentLimit = 1_000_000
  /// The most links of a peer.
  static let linkLimit = 4096
  private static let latest = 4_102_444_800_000

  package var file: String
  package var peer: String
  package var role: Role
  package var began: Duration
  /// Bits per second; `nil` without a cap.
  package var upload: UInt64?
  package var chunkSize: Int
  package var window: Int
  package var patience: Duration
  package var moments: [Moment] = []
  /// When it left properly; `nil` when its recording just ends.
  package var left: Duration?

  /// Reads a recording; a last line that is cut off, since the peer was killed, is left out.
  ///
  /// Throws a sentence with the line for everything else that is none.
  package init(_ bytes: [UInt8], file: String) throws(FileError) {
    var rest = bytes[...]
    var number = 0
    var head: Recording?
    while let end = rest.firstIndex(of: 0x0A) {
      number += 1
      let line = Array(rest[..<end])
      rest = rest[(end + 1)...]
      do throws(FileError) {
        if head == nil {
          head = try Recording(head: line, file: file)
        } else {
          try head?.take(line)
        }
      } catch {
        let column = error.position?.column ?? 1
        throw FileError(error.reason, file: file, at: Position(line: number, column: column))
      }
    }
    guard let head else {
      throw FileError(
        "this is no recording: it has no whole line",
        file: file,
        at: Position(line: 1, column: 1)
      )
    }
    self = head
  }

  private init(head line: [UInt8], file: String) throws(FileError) {
    let known = ["freshet_events", "at", "peer", "role", "upload", "chunk", "window", "patience_ms"]
    let element = try Self.element(line, file)
    guard case .object(let members) = element.kind, members.contains(where: { $0.name == known[0] }) else {
      throw FileError("this is no recording: 'freshet join --record-events' makes one", file: file)
    }
    let fields = try Fields(element, noun: "a recording", file: file, known: known)
    self.file = file
    let version = try fields.required("freshet_events") { element, reading throws(FileError) in
      try reading.count(element, 1...Int.max)
    }
    guard version == 1 else {
      throw fields.fail("a recording of version \(version); this freshet reads version 1")
    }
    began = try fields.required("at", Self.time)
    peer = try fields.required("peer", Self.name)
    let roles: [String: Role] = ["source": .source, "relay": .relay, "leaf": .leaf]
    role = try fields.required("role") { element, reading throws(FileError) in
      guard let role = roles[try Self.name(element, reading)] else {
        throw reading.refuse(element, takes: "source, relay or leaf")
      }
      return role
    }
    upload = try fields.required("upload", Self.rate)
    chunkSize = try fields.required("chunk") { element, reading throws(FileError) in
      try reading.count(element, 1...(1 << 20))
    }
    window = try fields.required("window") { element, reading throws(FileError) in
      try reading.count(element, 1...(1 << 24))
    }
    patience = try fields.required("patience_ms") { element, reading throws(FileError) in
      .milliseconds(try reading.count(element, 1...3_600_000))
    }
  }

  private mutating func take(_ line: [UInt8]) throws(FileError) {
    let element = try Self.element(line, file)
    let known = ["at", "rate", "depth", "parent", "out", "links", "left"]
    let fields = try Fields(element, noun: "a second", file: file, known: known)
    let at = try fields.required("at", Self.time)
    guard at >= moments.last?.at ?? began else {
      throw fields.fail("its time is before that of the line above")
    }
    guard left == nil else { throw fields.fail("the peer has left already, in the line above") }
    guard fields["left"] == nil else {
      left = at
      return
    }
    guard moments.count < Self.momentLimit else {
      throw fields.fail("a recording has at most \(Self.momentLimit) seconds")
    }
    moments.append(
      Moment(
        at: at,
        rate: try fields.required("rate", Self.rate) ?? 0,
        depth: try fields.required("depth") { element, reading throws(FileError) in
          if case .null = element.kind { return nil }
          return try reading.count(element, 0...(1 << 16))
        },
        parent: try fields.required("parent") { element, reading throws(FileError) in
          if case .null = element.kind { return nil }
          return try Self.name(element, reading)
        },
        out: UInt64(
          try fields.required("out") { element, reading throws(FileError) in
            try reading.count(element, 0...Int.max)
          }
        ),
        links: try fields.required("links", Self.links)
      )
    )
  }

  private static func element(_ line: [UInt8], _ file: String) throws(FileError) -> Element {
    guard line.count <= lineLimit else {
      throw FileError("a line is longer than \(lineLimit) bytes", file: file)
    }
    do throws(SyntaxError) {
      return try Element(line)
    } catch {
      throw FileError(error.reason, file: file, at: error.position)
    }
  }

  private static func time(_ element: Element, _ reading: Reading) throws(FileError) -> Duration {
    .milliseconds(try reading.count(element, 0...latest))
  }

  private static func name(_ element: Element, _ reading: Reading) throws(FileError) -> String {
    try reading.text(element, limit: 100)
  }

  private static func rate(_ element: Element, _ reading: Reading) throws(FileError) -> UInt64? {
    if case .null = element.kind { return nil }
    return UInt64(try reading.count(element, 0...1_000_000_000_000))
  }

  private static func links(_ element: Element, _ reading: Reading) throws(FileError) -> [Link] {
    guard case .array(let elements) = element.kind, elements.count <= linkLimit else {
      throw reading.refuse(element, takes: "a list of at most \(linkLimit) links")
    }
    var links: [Link] = []
    for element in elements {
      guard case .array(let parts) = element.kind, parts.count == 5 else {
        throw reading.refuse(
          element,
          takes: "links with a peer, its round trip, bytes sent and lost, and its upload"
        )
      }
      var trip: Duration?
      if case .null = parts[1].kind {
      } else {
        trip = .microseconds(try reading.count(parts[1], 0...3_600_000_000))
      }
      links.append(
        Link(
          peer: try name(parts[0], reading),
          roundTrip: trip,
          sent: UInt64(try reading.count(parts[2], 0...Int.max)),
          lost: UInt64(try reading.count(parts[3], 0...Int.max)),
          upload: try rate(parts[4], reading)
        )
      )
    }
    return links
  }
}
