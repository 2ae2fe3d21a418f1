public import PluginKit

/// Appends big-endian fields and counted lists to a message.
public struct Writer {
  public var bytes: [UInt8] = []

  @inlinable public init() {}

  @inlinable public mutating func write(_ value: some FixedWidthInteger & UnsignedInteger) {
    unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  /// At most `limit` elements behind their number.
  @inlinable public mutating func write<Element>(
    _ list: [Element],
    limit: Int,
    _ write: (inout Writer, Element) -> Void
  ) {
    let part = list.prefix(min(limit, 255))
    self.write(UInt8(part.count))
    for element in part { write(&self, element) }
  }

  @inlinable public mutating func write(_ contact: Contact) { contact.encode(into: &bytes) }

  @inlinable public mutating func write(_ contacts: [Contact], limit: Int) {
    write(contacts, limit: limit) { $0.write($1) }
  }
}
