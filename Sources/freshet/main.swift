import Glibc

exit(Freshet.run(arguments: Array(CommandLine.arguments.dropFirst()), environment: Freshet.environment))
