import FoundationEssentials
import Testing
import Text

struct TextTests {
  @Test func `Counts are written with thousands apart`() {
    let counts: [UInt64] = [0, 999, 1000, 65_229, 1_234_567, .max]
    #expect(
      counts.map(\.grouped) == ["0", "999", "1,000", "65,229", "1,234,567", "18,446,744,073,709,551,615"]
    )
  }

  @Test func `Every string comes back from its JSON, which has no control characters`() throws {
    let all = String(String.UnicodeScalarView((0...0x2FF).compactMap { UnicodeScalar($0 as UInt32) }))
    for text in ["", #"a "b" \c"#, "line\nline\u{0}\u{1B}[31m", "→ µ 🎥", all] {
      let quoted = text.quotedAsJSON
      #expect(quoted.unicodeScalars.allSatisfy { $0.value >= 0x20 })
      #expect(try JSONDecoder().decode(String.self, from: Data(quoted.utf8)) == text)
    }
  }
}
