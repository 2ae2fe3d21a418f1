internal import JSON5

extension Composition {
  private static let partLimit = 16
  /// More compositions than this are not compared in one go.
  package static let limit = 64

  /// Reads `tree,striped:stripes=4,spare=no,mixed.json5`: compositions with commas between them.
  ///
  /// What has a `=` before any colon is one more parameter of the composition before it, so each is written as
  /// `freshet broadcast --topology` takes it. A name that ends in `.json5` is a file with several parts.
  /// `load` gives the bytes of a file.
  package static func list(
    _ text: String,
    load: (String) throws(FileError) -> [UInt8]
  ) throws(FileError) -> [Composition] {
    var texts: [String] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      if let equals = part.firstIndex(of: "="), !part[..<equals].contains(":"), let last = texts.popLast() {
        texts.append(last + (last.contains(":") ? "," : ":") + part)
      } else {
        texts.append(String(part))
      }
    }
    guard texts.count <= limit else {
      throw FileError("at most \(limit) compositions are compared, not \(texts.count)", file: text)
    }
    var compositions: [Composition] = []
    for text in texts {
      let composition: Composition
      if text.hasSuffix(".json5") {
        composition = try Composition(try load(text), file: text)
      } else {
        guard let part = Part(text) else {
          throw FileError(
            "this names no topology; write NAME, NAME:parameter=value,… or FILE.json5, with commas between them",
            file: "'\(text)'"
          )
        }
        composition = Composition(name: text, parts: [part])
      }
      guard !compositions.contains(where: { $0.name == composition.name }) else {
        throw FileError("this composition is named twice", file: "'\(text)'")
      }
      compositions.append(composition)
    }
    return compositions
  }

  /// Reads a file like `{ parts: [{ topology: "tree", parameters: "fanout=2", share: "80 %" }, …] }`.
  ///
  /// The first part is what the source runs and announces.
  package init(_ bytes: [UInt8], file: String) throws(FileError) {
    let root: Element
    do throws(SyntaxError) {
      root = try Element(bytes)
    } catch {
      throw FileError(error.reason, file: file, at: error.position)
    }
    let fields = try Fields(root, noun: "a composition", file: file, known: ["name", "parts"])
    let standard = file.split(separator: "/").last.map { String($0.dropLast(6)) } ?? file
    let name = try fields.value("name", otherwise: standard) { element, reading throws(FileError) in
      try reading.text(element, limit: 80)
    }
    let parts = try fields.required("parts") { element, reading throws(FileError) in
      var parts: [Part] = []
      for element in try reading.list(element, limit: Self.partLimit) {
        let known = ["topology", "parameters", "share"]
        let fields = try Fields(element, noun: "a part", file: reading.file, known: known)
        let topology = try fields.required("topology") { element, reading throws(FileError) in
          let text = try reading.text(element, limit: 32)
          guard Part.isName(text) else { throw reading.refuse(element, takes: "the name of a topology") }
          return text
        }
        parts.append(
          Part(
            topology,
            parameters: try fields.value("parameters", otherwise: "") { element, reading throws(FileError) in
              try reading.text(element, limit: 1000)
            },
            share: try fields.value("share", otherwise: 1) { element, reading throws(FileError) in
              try reading.part(element)
            }
          )
        )
      }
      let sum = parts.reduce(0) { $0 + $1.share }
      guard abs(sum - 1) < 1e-6 else {
        let percent = (sum * 1000).rounded() / 10
        throw reading.fail("the shares of the parts add up to \(percent) %, and it must be 100 %", element)
      }
      return parts
    }
    self.init(name: name, parts: parts)
  }
}

extension Composition.Part {
  /// Reads what ``text`` says; nil where that begins with no name.
  init?(_ text: String) {
    let colon = text.firstIndex(of: ":") ?? text.endIndex
    let name = String(text[..<colon])
    guard Self.isName(name) else { return nil }
    self.init(name, parameters: String(text[colon...].dropFirst()))
  }

  fileprivate static func isName(_ text: String) -> Bool {
    1...32 ~= text.utf8.count
      && text.utf8.allSatisfy { 0x61...0x7A ~= $0 || 0x30...0x39 ~= $0 || $0 == 0x2D }
  }
}
