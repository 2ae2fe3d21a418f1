/// What help prints.
package enum Help {
  private static let width = 96

  package static let overview = """
    Freshet: live video that its viewers relay. One broadcasts, everybody passes it on, each chunk signed.

      freshet broadcast game.mp4 --loop     prints a link
      freshet join 'LINK' --play            watches it, on any machine

    Commands:
    \(Command.all.map { column("  " + $0.usage, 26, $0.summary) }.joined(separator: "\n"))
    \(column("  help [COMMAND]", 26, "Explain a command and its options"))

    'freshet help COMMAND' shows every option. 'freshet version' prints the version.

    """

  package static func text(_ command: Command) -> String {
    var text = "freshet \(command.usage) [options]\n\n"
    text += wrap("\(command.summary). \(command.details)", indent: 0) + "\n\n"
    for operand in command.operands {
      text += column("  " + operand.name, 10, operand.summary) + "\n"
    }
    if !command.operands.isEmpty { text += "\n" }
    text += "Options:\n"
    for option in command.options {
      let value = option.placeholder.map { " " + $0 } ?? ""
      let standard = option.standard.map { " (default \($0))" } ?? ""
      text += column("  --\(option.name)\(value)", 30, option.summary + standard) + "\n"
    }
    text += column("  --help", 30, "Print this") + "\n"
    text += "\nExamples:\n"
    for example in command.examples { text += "  \(example.line)\n      \(example.purpose)\n" }
    guard command.options.contains(where: { $0.name == Settings.config.option.name }) else { return text }
    let sample = command.options.first { $0.placeholder != nil }?.variable ?? Settings.config.option.variable
    text += "\n"
    text += wrap(
      "Each option can also be set in the environment (\(sample)=…) or in a JSON5 file (--config FILE); "
        + "the command line counts before the environment, and that before the file. "
        + "Times are written 500ms, 30s, 2m; rates 800k, 20M.",
      indent: 0
    )
    return text + "\n"
  }

  /// A name, and from `start` on its meaning, wrapped.
  private static func column(_ name: String, _ start: Int, _ meaning: String) -> String {
    let meaning = wrap(meaning, indent: start)
    guard name.count + 2 > start else {
      return name + String(repeating: " ", count: start - name.count) + meaning
    }
    return name + "\n" + String(repeating: " ", count: start) + meaning
  }

  /// Lines of at most `width` letters, all but the first with `indent` spaces before them.
  private static func wrap(_ text: String, indent: Int) -> String {
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ") {
      if !line.isEmpty, line.count + 1 + word.count > width - indent {
        lines.append(line)
        line = ""
      }
      line += line.isEmpty ? String(word) : " " + word
    }
    lines.append(line)
    return lines.joined(separator: "\n" + String(repeating: " ", count: indent))
  }
}

extension Command {
  /// The name with its operands.
  package var usage: String {
    ([name] + operands.map { $0.isOptional ? "[\($0.name)]" : $0.name }).joined(separator: " ")
  }
}
