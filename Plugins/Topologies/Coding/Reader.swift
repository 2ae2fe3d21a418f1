package import PluginKit

/// Reads what ``Writer`` wrote, or anything else, without ever leaving the bytes.
package struct Reader {
  private let bytes: [UInt8]
  private var offset = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package var isAtEnd: Bool { offset == bytes.count }

  /// How many bytes are left.
  package var rest: Int { bytes.count - offset }

  package mutating func read<Integer: FixedWidthInteger & UnsignedInteger>(_: Integer.Type) -> Integer? {
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

  package mutating func contact() -> Contact? { Contact.decode(bytes, at: &offset) }

  /// A list behind the number of its elements, at most `limit`.
  package mutating func list<Element>(limit: Int, _ element: (inout Reader) -> Element?) -> [Element]? {
    guard let count = read(UInt8.self), count <= limit else { return nil }
    return list(count: Int(count), element)
  }

  /// So many elements.
  package mutating func list<Element>(count: Int, _ element: (inout Reader) -> Element?) -> [Element]? {
    var list: [Element] = []
    for _ in 0..<count {
      guard let next = element(&self) else { return nil }
      list.append(next)
    }
    return list
  }
}
