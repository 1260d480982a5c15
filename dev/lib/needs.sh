# shellcheck shell=bash
# What dev/stack and dev/test need of the machine: checked first, installed where
# that is certain to be welcome (Debian, as root), otherwise said. Whoever sources
# this has the functions say and die.

java_version=17 # what both Kafka 4.1 and Cassandra 5.0 run on

# java17 → the path of a Java 17, or nothing.
java17() {
	local java
	for java in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java || true)" \
		/usr/lib/jvm/java-17-openjdk*/bin/java /usr/lib/jvm/*17*/bin/java; do
		if [ -x "$java" ] && "$java" -version 2>&1 | grep -q "version \"$java_version[.\"]"; then
			echo "$java"
			return
		fi
	done
}

# missing_packages → the Debian names of what is not there.
missing_packages() {
	[ -n "$(java17)" ] || echo openjdk-17-jre-headless
	command -v mvn >/dev/null || echo maven
	command -v kcat >/dev/null || echo kcat
	command -v openssl >/dev/null || echo openssl
	command -v python3 >/dev/null || echo python3
	command -v flock >/dev/null || echo util-linux
}

# need_all ends the script unless everything is there; it sets $java.
need_all() {
	local missing
	missing=$(installed missing_packages)
	[ -z "$missing" ] || die "these are needed and not installed: $missing
  Debian, Ubuntu:  sudo apt-get install $missing
  macOS:           brew install openjdk@17 maven kcat openssl python flock, and
                   sudo ifconfig lo0 alias 127.0.0.2 (also .3, .11 and .12) for Cassandra"
	java=$(java17)
	keytool=$(dirname "$java")/keytool
}

# missing_browser → the Debian name of a browser, when there is none that tests of
# pages can drive.
missing_browser() {
	local browser
	for browser in ${SLUICE_TEST_CHROMIUM:+"$SLUICE_TEST_CHROMIUM"} headless_shell headless-shell chromium \
		chromium-browser google-chrome google-chrome-stable /snap/bin/chromium \
		"/Applications/Chromium.app/Contents/MacOS/Chromium" "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
		if command -v "$browser" >/dev/null; then return; fi
	done
	echo chromium
}

# need_browser ends the script unless there is one.
need_browser() {
	local missing
	missing=$(installed missing_browser)
	[ -z "$missing" ] || die "tests of pages need a browser, and there is none:
  Debian:          sudo apt-get install chromium
  Ubuntu:          sudo snap install chromium
  macOS:           brew install --cask chromium
  elsewhere:       Chromium or Chrome; SLUICE_TEST_CHROMIUM says where it is"
}

# installed FINDER installs what FINDER names, where that is welcome → what it still
# names.
installed() {
	if [ -n "$("$1")" ] && [ "$(id -u)" = 0 ] && [ -f /etc/debian_version ] && command -v apt-get >/dev/null; then
		(
			flock 9 2>/dev/null || true
			# shellcheck disable=SC2046
			install_packages $("$1")
		) 9>"${TMPDIR:-/tmp}/sluice-stack-apt.lock"
	fi
	"$1" | tr '\n' ' '
}

install_packages() {
	[ $# -gt 0 ] || return 0
	say "installing $*"
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -qq --yes --no-install-recommends "$@" >/dev/null 2>&1 ||
		{ apt-get update -qq && apt-get install -qq --yes --no-install-recommends "$@" >/dev/null; } >&2
}

# download PRODUCT puts the jars that PRODUCT/pom.xml pins into the cache, once;
# Maven checks their checksums (-C). A changed pom is another folder.
download() {
	local pom=$dev/$1/pom.xml jars
	jars=$(jars_of "$1")
	[ ! -d "$jars" ] || return 0
	say "$1: downloading with Maven"
	rm -rf "$jars.part"
	mvn --quiet --batch-mode -Dstyle.color=never --strict-checksums --file "$pom" dependency:copy-dependencies \
		-DincludeScope=runtime -DoutputDirectory="$jars.part" >&2 || die "$1: the download failed"
	mv "$jars.part" "$jars"
}

jars_of() { echo "$stack_dir/jars/$1-$(cksum <"$dev/$1/pom.xml" | cut -d' ' -f1)"; }
