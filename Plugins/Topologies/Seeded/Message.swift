import PluginKit

/// What peers tell each other of the list.
///
/// Every field may be a lie; reading a message yields a value within the bounds named here, or nothing.
enum Message: Hashable, Sendable {
  /// The most entries in one part of a list, and the most parts.
  static let partLimit = 13
  static let partsLimit = (Roll.limit + partLimit - 1) / partLimit

  /// The sender has this version of the list, and asks for what came after it.
  case want(UInt64)
  /// Somebody does not answer to what it is sent.
  case silent(UInt32)
  case delta(Roll.Delta)
  /// A part of a whole list.
  case part(version: UInt64, part: Int, of: Int, [Roll.Entry])
  /// What the sender holds from its newest entry on; the difference is below ``windowLimit``.
  case window(entry: UInt64, last: UInt64)
  static let windowLimit: UInt64 = 1 << 20

  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    switch self {
    case .want(let version):
      bytes.append(1)
      Self.append(version, to: &bytes)
    case .silent(let number):
      bytes.append(2)
      Self.append(number, to: &bytes)
    case .delta(let delta):
      bytes.append(3)
      Self.append(delta.version, to: &bytes)
      bytes += [UInt8(delta.left.count), UInt8(delta.uploads.count), UInt8(delta.joined.count)]
      for number in delta.left { Self.append(number, to: &bytes) }
      for change in delta.uploads {
        Self.append(change.number, to: &bytes)
        Self.append(change.upload, to: &bytes)
      }
      for entry in delta.joined { Self.append(entry, to: &bytes) }
    case .part(let version, let part, let count, let entries):
      bytes.append(4)
      Self.append(version, to: &bytes)
      bytes += [UInt8(part), UInt8(count), UInt8(entries.count)]
      for entry in entries { Self.append(entry, to: &bytes) }
    case .window(let entry, let last):
      bytes.append(5)
      Self.append(entry, to: &bytes)
      Self.append(last, to: &bytes)
    }
    return bytes
  }

  init?(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return nil }
    var offset = 1
    switch kind {
    case 1:
      guard let version = Self.read(UInt64.self, bytes, &offset) else { return nil }
      self = .want(version)
    case 2:
      guard let number = Self.read(UInt32.self, bytes, &offset) else { return nil }
      self = .silent(number)
    case 3:
      guard let delta = Self.delta(bytes, &offset) else { return nil }
      self = .delta(delta)
    case 4:
      guard let version = Self.read(UInt64.self, bytes, &offset),
        let part = Self.read(UInt8.self, bytes, &offset), let count = Self.read(UInt8.self, bytes, &offset),
        part < count, count <= Self.partsLimit,
        let entries = Self.entries(bytes, &offset, limit: Self.partLimit)
      else { return nil }
      self = .part(version: version, part: Int(part), of: Int(count), entries)
    case 5:
      guard let entry = Self.read(UInt64.self, bytes, &offset),
        let last = Self.read(UInt64.self, bytes, &offset), entry <= last, last - entry < Self.windowLimit
      else { return nil }
      self = .window(entry: entry, last: last)
    default: return nil
    }
    guard offset == bytes.count else { return nil }
  }

  private static func delta(_ bytes: [UInt8], _ offset: inout Int) -> Roll.Delta? {
    guard let version = read(UInt64.self, bytes, &offset), bytes.count >= offset + 3,
      bytes[offset] <= Roll.Delta.leftLimit, bytes[offset + 1] <= Roll.Delta.uploadLimit
    else { return nil }
    let (left, uploads) = (bytes[offset], bytes[offset + 1])
    offset += 2
    let counted = offset
    offset += 1
    var delta = Roll.Delta(version: version)
    for _ in 0..<left {
      guard let number = read(UInt32.self, bytes, &offset) else { return nil }
      delta.left.append(number)
    }
    for _ in 0..<uploads {
      guard let number = read(UInt32.self, bytes, &offset), let upload = read(UInt32.self, bytes, &offset)
      else { return nil }
      delta.uploads.append(Roll.Upload(number: number, upload: upload))
    }
    guard bytes[counted] <= Roll.Delta.joinedLimit else { return nil }
    for _ in 0..<bytes[counted] {
      guard let entry = entry(bytes, &offset) else { return nil }
      delta.joined.append(entry)
    }
    return delta
  }

  private static func entries(_ bytes: [UInt8], _ offset: inout Int, limit: Int) -> [Roll.Entry]? {
    guard let count = read(UInt8.self, bytes, &offset), count <= limit else { return nil }
    var entries: [Roll.Entry] = []
    for _ in 0..<count {
      guard let entry = entry(bytes, &offset) else { return nil }
      entries.append(entry)
    }
    return entries
  }

  private static func append(_ entry: Roll.Entry, to bytes: inout [UInt8]) {
    append(entry.number, to: &bytes)
    append(entry.upload, to: &bytes)
    bytes.append(entry.isReachable ? 1 : 0)
    entry.contact.encode(into: &bytes)
  }

  private static func entry(_ bytes: [UInt8], _ offset: inout Int) -> Roll.Entry? {
    guard let number = read(UInt32.self, bytes, &offset), let upload = read(UInt32.self, bytes, &offset),
      let reachable = read(UInt8.self, bytes, &offset), let contact = Contact.decode(bytes, at: &offset)
    else { return nil }
    return Roll.Entry(number: number, contact: contact, upload: upload, isReachable: reachable == 1)
  }

  private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  private static func read<Integer: FixedWidthInteger>(
    _: Integer.Type,
    _ bytes: [UInt8],
    _ offset: inout Int
  ) -> Integer? {
    let size = Integer.bitWidth / 8
    guard bytes.count - offset >= size else { return nil }
    defer { offset += size }
    return bytes[offset..<offset + size].reduce(0) { $0 << 8 | Integer($1) }
  }
}
