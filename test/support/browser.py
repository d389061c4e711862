"""Debian's Chromium with the page of drumblender-app open, used as a person uses it."""

import contextlib
import json
import shutil

import pytest
import requests
from pages import TOKEN, read
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="apt: needs chromium and chromium-driver"
)
_ARGUMENTS = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --mute-audio "
    "--hide-scrollbars --no-first-run --disable-background-networking "
    "--autoplay-policy=no-user-gesture-required"
).split()
PATIENCE_S = 60  # of a machine that is busy with other things

# Drops files on an element, which a driver cannot.
_DROP = """
const [target, files, done] = arguments;
const transfer = new DataTransfer();
for (const [name, content] of files)
  transfer.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
for (const type of ["dragover", "drop"])
  target.dispatchEvent(
    new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
done();
"""


@contextlib.contextmanager
def chromium(downloads):
    """Start a browser that saves files in a folder."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in _ARGUMENTS:
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        driver.set_script_timeout(PATIENCE_S)
        yield driver
    finally:
        driver.quit()


class Person:
    """A person who uses the page.

    Args:
        driver: browser.
        address: of the page.
    """

    def __init__(self, driver, address):
        self.driver = driver
        self.address = address
        self.set_window(1280, 900)
        self.come()

    def set_window(self, width, height, scale=1, theme="light"):
        """Choose the size of the window in CSS pixels, and the theme of the system."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def come(self):
        """Open the page, or load it anew."""
        self.driver.get(self.address)
        self.wait("document.body.dataset.ready === ''")
        self.wait_for_sound()

    def come_anew(self):
        """Open the page as somebody who has not been here."""
        self.run("sessionStorage.clear()")
        self.come()

    def run(self, code, *arguments):
        """Run JavaScript; gives what it returns."""
        return self.driver.execute_script(code, *arguments)

    def wait(self, condition):
        """Wait until a condition in JavaScript is true; gives its value."""
        return WebDriverWait(self.driver, PATIENCE_S, 0.05).until(
            lambda _: self.run(f"return {condition}"), condition
        )

    def wait_for_sound(self):
        """Wait until the sound of all settings is there; gives its name."""
        return self.wait("document.body.dataset.made")

    def wait_for_picture(self):
        """Wait until what is drawn is the sound that is there."""
        self.wait_for_sound()
        self.wait(
            "document.getElementById('spectrogram').dataset.sound === document.body.dataset.made"
        )

    def find(self, selector):
        """Find an element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        """Find elements."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of an element, whether it is seen or not."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def choose_drums(self, *paths):
        """Give files to the page, and wait until they are taken apart."""
        count = len(self.find_all(".card.filled")) + len(paths)
        self.find("#choose-drums").send_keys("\n".join(map(str, paths)))
        self.wait(f"document.querySelectorAll('.card.filled').length === {min(count, 4)}")
        return self.wait_for_sound()

    def drop(self, selector, **files):
        """Drop files, base64 by name, on an element."""
        self.driver.execute_async_script(_DROP, self.find(selector), list(files.items()))

    def wait_for_error(self):
        """Wait for a sentence about an error; gives it."""
        return self.wait(
            "!document.getElementById('error').hidden && "
            "document.querySelector('#error span').textContent"
        )

    def set(self, control, text):
        """Type a value of a control, and wait for the sound."""
        number = self.find(f".slider:has([data-control={control}]) .number")
        number.click()
        number.send_keys(Keys.CONTROL, "a")
        number.send_keys(Keys.NULL, text, Keys.ENTER)
        return self.wait_for_sound()

    def press(self, *keys, on="body"):
        """Press keys on an element, and wait for the sound."""
        self.find(on).send_keys(*keys)
        return self.wait_for_sound()

    def click(self, selector):
        """Click on an element, and wait for the sound."""
        self.find(selector).click()
        return self.wait_for_sound()

    def select(self, selector, text):
        """Choose an option by its beginning, and wait for the sound."""
        select = Select(self.find(selector))
        index = [option.text.startswith(text) for option in select.options].index(True)
        select.select_by_index(index)
        return self.wait_for_sound()

    def value(self, control):
        """The value of a control as the page shows it."""
        number = self.find(f".slider:has([data-control={control}]) .number")
        return number.get_property("value")

    def samples(self, part="whole"):
        """The samples that the server has made for this page, and that the page plays."""
        name, token = self.run(
            "return [document.body.dataset.made, sessionStorage.getItem('drumblender-token')]"
        )

        answer = requests.get(
            f"{self.address}api/sounds/{name}/{part}.wav",
            headers={TOKEN: token},
            timeout=PATIENCE_S,
        )
        return read(answer.content)

    def stems(self):
        """The samples of each part."""
        return {part: self.samples(part) for part in ("modal", "noise", "transient")}

    def addresses(self):
        """All that the page has asked for since the last time."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated"):
                parameters = message["params"]
                found.append(parameters.get("request", parameters)["url"])
        return found
