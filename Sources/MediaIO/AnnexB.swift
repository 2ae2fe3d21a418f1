/// The byte stream form of H.264 and HEVC (their annexes B).
enum AnnexB {
  /// Tells whether a sequence parameter set comes before the first slice.
  static func holdsParameterSet(_ bytes: RawSpan, isHEVC: Bool) -> Bool {
    var index = 0
    while index + 3 < bytes.byteCount {
      guard bytes.byte(at: index) == 0, bytes.byte(at: index + 1) == 0, bytes.byte(at: index + 2) == 1 else {
        index += 1
        continue
      }
      let header = bytes.byte(at: index + 3)
      if isHEVC {
        let type = (header >> 1) & 0x3f
        if type == 33 { return true }
        if type < 32 { return false }
      } else {
        let type = header & 0x1f
        if type == 7 { return true }
        if (1...5).contains(type) { return false }
      }
      index += 4
    }
    return false
  }
}
