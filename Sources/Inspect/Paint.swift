/// Text with a colour, whose width is known without it.
struct Paint {
  /// The codes of ECMA-48 for a terminal.
  enum Style: String {
    case plain = ""
    case dim = "2"
    case bold = "1"
    case red = "1;31"
    case green = "32"
    case yellow = "33"
    case blue = "34"
    case magenta = "35"
    case cyan = "36"
  }

  var text: String
  var style: Style

  init(_ text: String, _ style: Style = .plain) {
    self.text = text
    self.style = style
  }

  func rendered(inColor: Bool) -> String {
    inColor && style != .plain ? "\u{1B}[\(style.rawValue)m\(text)\u{1B}[0m" : text
  }
}

/// Lines of at most `width` letters out of parts, which are only cut where one alone is too long.
struct Paragraph {
  private let indent: Int
  private let width: Int
  private let inColor: Bool
  private let separator: String
  private(set) var text = ""
  private var column: Int
  private var isAtStart = true

  /// Lines but the first begin with `indent` spaces; the first is continued at that column.
  init(indent: Int, width: Int, separator: String = " · ", inColor: Bool) {
    self.indent = indent
    self.width = max(width, indent + 20)
    self.separator = separator
    self.inColor = inColor
    column = indent
  }

  mutating func add(_ part: Paint) {
    let gap = isAtStart ? "" : separator
    if column + gap.count + part.text.count <= width {
      text += Paint(gap, .dim).rendered(inColor: inColor) + part.rendered(inColor: inColor)
      column += gap.count + part.text.count
      isAtStart = false
      return
    }
    if !isAtStart { breakLine() }
    var rest = part.text[...]
    while rest.count > width - indent {
      let most = rest.index(rest.startIndex, offsetBy: width - indent)
      // Behind the last space that there is, or in the middle of a word.
      let end = rest[..<most].lastIndex(of: " ").map { rest.index(after: $0) } ?? most
      let line = rest[..<end]
      let visible = line.last == " " ? line.dropLast() : line
      text += Paint(String(visible), part.style).rendered(inColor: inColor)
      rest = rest[end...]
      breakLine()
    }
    text += Paint(String(rest), part.style).rendered(inColor: inColor)
    column += rest.count
    isAtStart = false
  }

  private mutating func breakLine() {
    text += "\n" + String(repeating: " ", count: indent)
    column = indent
    isAtStart = true
  }
}
