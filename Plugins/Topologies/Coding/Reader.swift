public import PluginKit

/// Reads what ``Writer`` wrote, or anything else, without ever leaving the bytes.
///
/// Public and inlinable, as the compiler does not specialise what only the package sees: messages would cost half
/// of a simulated swarm.
public struct Reader {
  @usableFromInline let bytes: [UInt8]
  @usableFromInline var offset = 0

  @inlinable public init(_ bytes: [UInt8]) { self.bytes = bytes }

  @inlinable public var isAtEnd: Bool { offset == bytes.count }

  /// How many bytes are left.
  @inlinable public var rest: Int { bytes.count - offset }

  @inlinable public mutating func read<Integer: FixedWidthInteger & UnsignedInteger>(_: Integer.Type)
    -> Integer?
  {
    let size = Integer.bitWidth / 8
    guard rest >= size else { return nil }
    var value: Integer = 0
    for _ in 0..<size {
      // A shift of a byte by its whole width is 0, as it should be.
      value = value << 8 | Integer(bytes[offset])
      offset += 1
    }
    return value
  }

  @inlinable public mutating func contact() -> Contact? { Contact.decode(bytes, at: &offset) }

  /// A list behind the number of its elements, at most `limit`.
  @inlinable public mutating func list<Element>(limit: Int, _ element: (inout Reader) -> Element?)
    -> [Element]?
  {
    guard let count = read(UInt8.self), count <= limit else { return nil }
    return list(count: Int(count), element)
  }

  /// So many elements.
  @inlinable public mutating func list<Element>(count: Int, _ element: (inout Reader) -> Element?)
    -> [Element]?
  {
    var list: [Element] = []
    for _ in 0..<count {
      guard let next = element(&self) else { return nil }
      list.append(next)
    }
    return list
  }
}
