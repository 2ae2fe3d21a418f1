internal import Glibc

/// gnuplot, where it is installed.
enum Gnuplot {
  /// Runs scripts in their folder, one process for all.
  ///
  /// - Returns: nil when all were drawn, else why not, as a sentence.
  static func draw(_ scripts: [String], in folder: String) -> String? {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    let log = folder + "/gnuplot.log"
    unsafe posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
    unsafe posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
    let arguments = ["gnuplot", "-e", "cd '" + folder.replacing("'", with: "''") + "'"] + scripts
    let words = unsafe arguments.map { unsafe strdup($0) } + [nil]
    defer { for index in unsafe words.indices { unsafe free(words[index]) } }
    var process = pid_t()
    let code = unsafe posix_spawnp(&process, "gnuplot", &actions, nil, words, environ)
    guard code == 0 else {
      let reason = unsafe String(cString: strerror(code))
      return "gnuplot cannot be started (\(reason)), so that there are no pictures; "
        + "Debian's package is gnuplot-nox, and 'cd \(folder) && gnuplot *.gp' draws them then"
    }
    var status: Int32 = 0
    while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return status == 0 ? nil : "gnuplot failed; \(log) says why"
  }
}
