/// A picture that gnuplot draws, with its numbers beside it.
///
/// The script reads the tables from the folder in which it runs, so that anybody can draw it again, differently.
package struct Plot: Hashable, Sendable {
  /// The name of its files, without an ending.
  package let name: String
  package let title: String
  /// What there is to see, in a sentence or two.
  package let caption: String
  /// Tables with columns between tabs, by the names of their files.
  package let tables: [String: String]
  /// The commands between the terminal's and the end.
  private let commands: [String]

  init(name: String, title: String, caption: String, tables: [String: String], commands: [String]) {
    self.name = name
    self.title = title
    self.caption = caption
    self.tables = tables
    self.commands = commands
  }

  /// Colours that also the colour-blind can tell apart, dark enough for lines on white.
  static let colours = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7F5F00", "#56B4E9", "#882255", "#117733", "#332288",
    "#666666",
  ]

  static func colour(_ index: Int) -> String { colours[index % colours.count] }

  /// A script for gnuplot 5.4 that writes `name.svg` and `name.png`.
  package var script: String {
    let shared = [
      "# \(title)",
      "reset",
      "set encoding utf8",
      "set border 3 linecolor '#555555'",
      "set tics nomirror textcolor '#333333'",
      "set grid linecolor '#E4E4E4' linetype 1 linewidth 0.6",
      "set datafile separator '\\t'",
    ]
    let drawing = commands.joined(separator: "\n")
    let wide = "size 900,480"
    return """
      \(shared.joined(separator: "\n"))
      set terminal svg \(wide) dynamic font 'Helvetica,14' linewidth 1.4 background '#FFFFFF'
      set termoption noenhanced
      set output '\(name).svg'
      \(drawing)
      set terminal pngcairo \(wide) font 'sans,11' linewidth 1.6
      set termoption noenhanced
      set output '\(name).png'
      \(drawing)
      set output

      """
  }

  /// A text within single quotes of a script.
  static func quoted(_ text: String) -> String {
    let line = text.map { $0.isNewline || $0 == "\t" ? " " : $0 }
    return "'" + line.map { $0 == "'" ? "''" : String($0) }.joined() + "'"
  }
}
