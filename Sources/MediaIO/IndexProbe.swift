/// Tells from the beginning of a file whether it can be played before its end is there.
///
/// Most containers can. An MP4 or MOV file can when its index, the `moov` box, stands before its media (ISO/IEC 14496-12,
/// section 6.2.3); one that a camera has written has it last.
public struct IndexProbe {
  /// Boxes that may stand before index and media, as many as are looked at.
  private static let boxLimit = 64
  private static let known: Set<String> = [
    "ftyp", "styp", "free", "skip", "wide", "pnot", "uuid", "pdin", "sidx", "emsg", "prft", "meta", "junk",
  ]

  private var offset = 0
  private var boxes = 0

  public init() {}

  /// Looks at what has come.
  ///
  /// - Parameters:
  ///   - available: how many bytes are there, from the first one on.
  ///   - read: up to 16 bytes at an offset; fewer where what is there ends.
  /// - Returns: whether it can be played from its beginning on; nil when more of it has to be there to know.
  public mutating func look(_ available: Int, _ read: (_ offset: Int) -> [UInt8]) -> Bool? {
    while boxes < Self.boxLimit {
      guard available >= 16, offset <= available - 16 else { return nil }
      let head = read(offset)
      guard head.count >= 16 else { return nil }
      switch String(decoding: head[4..<8], as: UTF8.self) {
      case "mdat": return false
      case let kind where Self.known.contains(kind): break
      default: return true
      }
      guard let length = Self.length(head), offset <= Int.max - length else { return true }
      offset += length
      boxes += 1
    }
    return true
  }

  /// The bytes of a box; nil for one that goes on to the end, or is none.
  private static func length(_ head: [UInt8]) -> Int? {
    let short = head[..<4].reduce(0) { $0 << 8 | UInt64($1) }
    guard short == 1 else { return short >= 8 ? Int(short) : nil }
    let long = head[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
    return long >= 16 ? Int(exactly: long) : nil
  }
}
