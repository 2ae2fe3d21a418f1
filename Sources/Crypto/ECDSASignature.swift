/// The two forms of an ECDSA signature: fixed length on the wire, DER in OpenSSL.
///
/// RFC 6605 section 4: r ‖ s, each as long as a coordinate.
enum ECDSASignature {
  /// Room for the DER form of the longest signature, that of P-384: 2 + 2 * (2 + 1 + 48) bytes.
  static let maximumLength = 104

  /// Writes the DER form of r ‖ s.
  ///
  /// - Returns: the length, or nil when the signature is not of two halves of at most 48 bytes.
  static func encode(_ signature: RawSpan, into der: inout [104 of UInt8]) -> Int? {
    let half = signature.byteCount / 2
    guard signature.byteCount == half * 2, (1...48).contains(half) else { return nil }
    var end = 2
    for number in 0..<2 {
      let start = number * half
      var first = start
      let last = start + half - 1
      while first < last, byte(signature, first) == 0 { first += 1 }
      let padding = byte(signature, first) >= 0x80 ? 1 : 0
      der[end] = 0x02
      der[end + 1] = UInt8(padding + last - first + 1)
      der[end + 2] = 0
      end += 2 + padding
      for offset in first...last {
        der[end] = byte(signature, offset)
        end += 1
      }
    }
    der[0] = 0x30
    der[1] = UInt8(end - 2)
    return end
  }

  /// Appends r ‖ s of a DER form whose numbers fit `coordinateLength` bytes.
  ///
  /// - Returns: whether the bytes were such a form; when not, nothing is appended.
  static func decode(_ der: RawSpan, coordinateLength: Int, into signature: inout [UInt8]) -> Bool {
    let before = signature.count
    var offset = 2
    guard der.byteCount >= 2, byte(der, 0) == 0x30, Int(byte(der, 1)) == der.byteCount - 2 else {
      return false
    }
    for _ in 0..<2 {
      guard append(der, at: &offset, coordinateLength, &signature) else {
        signature.removeSubrange(before...)
        return false
      }
    }
    return true
  }

  private static func append(
    _ der: RawSpan,
    at offset: inout Int,
    _ coordinateLength: Int,
    _ signature: inout [UInt8]
  ) -> Bool {
    guard offset + 2 <= der.byteCount, byte(der, offset) == 0x02 else { return false }
    var length = Int(byte(der, offset + 1))
    offset += 2
    guard length > 0, offset + length <= der.byteCount else { return false }
    let end = offset + length
    while length > coordinateLength, byte(der, offset) == 0 {
      offset += 1
      length -= 1
    }
    guard length <= coordinateLength else { return false }
    for _ in length..<coordinateLength { signature.append(0) }
    while offset < end {
      signature.append(byte(der, offset))
      offset += 1
    }
    return true
  }

  private static func byte(_ bytes: RawSpan, _ offset: Int) -> UInt8 {
    unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }
}
