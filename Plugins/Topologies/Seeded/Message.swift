internal import Coding
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
    var writer = Writer()
    switch self {
    case .want(let version):
      writer.write(1 as UInt8)
      writer.write(version)
    case .silent(let number):
      writer.write(2 as UInt8)
      writer.write(number)
    case .delta(let delta):
      writer.write(3 as UInt8)
      writer.write(delta.version)
      for count in [delta.left.count, delta.uploads.count, delta.joined.count] { writer.write(UInt8(count)) }
      for number in delta.left { writer.write(number) }
      for change in delta.uploads {
        writer.write(change.number)
        writer.write(change.upload)
      }
      for entry in delta.joined { writer.write(entry) }
    case .part(let version, let part, let count, let entries):
      writer.write(4 as UInt8)
      writer.write(version)
      writer.write(UInt8(part))
      writer.write(UInt8(count))
      writer.write(entries, limit: Self.partLimit) { $0.write($1) }
    case .window(let entry, let last):
      writer.write(5 as UInt8)
      writer.write(entry)
      writer.write(last)
    }
    return writer.bytes
  }

  init?(_ bytes: [UInt8]) {
    var reader = Reader(bytes)
    switch reader.read(UInt8.self) {
    case 1:
      guard let version = reader.read(UInt64.self) else { return nil }
      self = .want(version)
    case 2:
      guard let number = reader.read(UInt32.self) else { return nil }
      self = .silent(number)
    case 3:
      guard let delta = reader.delta() else { return nil }
      self = .delta(delta)
    case 4:
      guard let version = reader.read(UInt64.self), let part = reader.read(UInt8.self),
        let count = reader.read(UInt8.self), part < count, count <= Self.partsLimit,
        let entries = reader.list(limit: Self.partLimit, { $0.entry() })
      else { return nil }
      self = .part(version: version, part: Int(part), of: Int(count), entries)
    case 5:
      guard let entry = reader.read(UInt64.self), let last = reader.read(UInt64.self), entry <= last,
        last - entry < Self.windowLimit
      else { return nil }
      self = .window(entry: entry, last: last)
    default: return nil
    }
    guard reader.isAtEnd else { return nil }
  }
}

extension Writer {
  fileprivate mutating func write(_ entry: Roll.Entry) {
    write(entry.number)
    write(entry.upload)
    write((entry.isReachable ? 1 : 0) as UInt8)
    write(entry.contact)
  }
}

extension Reader {
  fileprivate mutating func delta() -> Roll.Delta? {
    guard let version = read(UInt64.self), let left = read(UInt8.self), left <= Roll.Delta.leftLimit,
      let uploads = read(UInt8.self), uploads <= Roll.Delta.uploadLimit, let joined = read(UInt8.self),
      joined <= Roll.Delta.joinedLimit
    else { return nil }
    var delta = Roll.Delta(version: version)
    guard let numbers = list(count: Int(left), { $0.read(UInt32.self) }),
      let changes = list(count: Int(uploads), { $0.upload() }),
      let entries = list(count: Int(joined), { $0.entry() })
    else { return nil }
    delta.left = numbers
    delta.uploads = changes
    delta.joined = entries
    return delta
  }

  private mutating func upload() -> Roll.Upload? {
    guard let number = read(UInt32.self), let upload = read(UInt32.self) else { return nil }
    return Roll.Upload(number: number, upload: upload)
  }

  fileprivate mutating func entry() -> Roll.Entry? {
    guard let number = read(UInt32.self), let upload = read(UInt32.self), let reachable = read(UInt8.self),
      let contact = contact()
    else { return nil }
    return Roll.Entry(number: number, contact: contact, upload: upload, isReachable: reachable == 1)
  }
}
