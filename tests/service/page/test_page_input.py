"""How a note gets into the page, and what happens while someone types."""

from toy_layers import NOTE, edit, tag, write


def marks(page):
    return page.locator("#note .tag").count()


def test_five_examples_stand_there_and_a_click_on_one_marks_it(page):
    page.wait_for_selector(".example")
    assert page.locator(".example").count() == 5
    page.click("text=Discharge summary, heart attack")
    page.wait_for_selector("#note mark")
    assert page.input_value("#text").startswith("DISCHARGE SUMMARY")
    assert page.is_hidden("#empty")


def test_what_is_typed_is_sent_once_the_typing_pauses(page):
    page.wait_for_selector(".example")
    sent = []
    page.on("request", lambda r: sent.append(r.url) if r.url.endswith("annotate") else None)
    page.click("#text")
    # Faster than a busy machine could press keys.
    page.evaluate(
        """text => {
            for (const letter of text) document.execCommand("insertText", false, letter);
        }""",
        "Denies fever and chest pain.",
    )
    page.wait_for_selector("#note mark")
    assert len(sent) == 1
    assert marks(page) == 2


def test_an_answer_to_what_stands_there_no_more_is_dropped(page):
    page.wait_for_selector(".example")
    held = []

    def hold(route):
        if "fever" in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    page.route("**/v1/annotate", hold)
    with page.expect_request("**/v1/annotate"):
        page.fill("#text", "fever")
    page.fill("#text", "Chest pain.")
    tag(page, "Chest pain").wait_for()
    assert len(held) == 1
    # The browser itself has given the first one up.
    assert held[0].request.failure
    assert page.inner_text("#note .block").startswith("Chest pain")


def test_a_file_is_opened_by_its_button_and_by_dropping_it(page, tmp_path):
    page.wait_for_selector(".example")
    path = tmp_path / "note.txt"
    path.write_bytes("Temp 38 °C.\r\nDenies fever.".encode("cp1252"))
    page.set_input_files("#file", path)
    tag(page, "fever").wait_for()
    assert page.input_value("#text") == "Temp 38 °C.\nDenies fever."
    page.evaluate(
        """() => {
            const carried = new DataTransfer();
            carried.items.add(new File(["Chest pain, 38 °C."], "note.txt", {type: "text/plain"}));
            for (const type of ["dragover", "drop"]) {
                const options = {dataTransfer: carried, bubbles: true, cancelable: true};
                document.querySelector("#text").dispatchEvent(new DragEvent(type, options));
            }
        }"""
    )
    tag(page, "Chest pain").wait_for()
    assert page.input_value("#text") == "Chest pain, 38 °C."
    for encoding in ("utf-16", "utf-16-be"):
        mark = "\ufeff" if encoding == "utf-16-be" else ""
        path.write_bytes(f"{mark}Dyspnea, 38 °C, {encoding}.".encode(encoding))
        page.set_input_files("#file", path)
        tag(page, "Dyspnea").wait_for()
        assert page.input_value("#text") == f"Dyspnea, 38 °C, {encoding}."


def test_a_file_that_is_no_text_is_refused(page, tmp_path):
    path = tmp_path / "scan.txt"
    for content in (b"PK\x03\x04\x00\x00\xff", b"%PDF-1.7\nfever", b"{\\rtf1 fever}"):
        page.evaluate("document.querySelector('#alert').hidden = true")
        path.write_bytes(content)
        page.set_input_files("#file", path)
        page.wait_for_selector("#alert:not([hidden])")
        assert "no text file" in page.inner_text("#alert")
        assert page.input_value("#text") == ""


def test_without_a_note_nothing_is_offered_to_be_downloaded(page):
    page.wait_for_selector(".example")
    assert page.is_hidden("#download")
    assert page.input_value("#least") == "0"


def test_a_cleared_page_shows_nothing(annotated):
    assert marks(annotated)
    annotated.click("#clear")
    annotated.wait_for_selector("#empty:not([hidden])")
    assert annotated.is_hidden("#note")
    assert annotated.is_hidden("#download")


def test_a_note_that_is_too_long_is_not_sent(page):
    page.wait_for_selector(".example")
    page.fill("#text", "fever " * 30_000)
    page.wait_for_selector("#alert:not([hidden])")
    assert "longer than the 150,000 characters" in page.inner_text("#alert")


def test_a_key_that_the_service_wants_is_asked_for_and_kept_nowhere(open_page, serve, toy):
    page = open_page(serve(toy, api_key="open sésame 🔑"), is_clean=False)
    page.wait_for_selector("#key:not([hidden])")
    page.fill("#key-value", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#alert:not([hidden])")
    assert "wrong" in page.inner_text("#alert")
    assert page.is_visible("#key")
    page.fill("#key-value", "open sésame 🔑")
    page.keyboard.press("Enter")
    page.wait_for_selector(".example")
    assert page.is_hidden("#key")
    page.wait_for_selector("#alert", state="hidden")
    write(page, NOTE)
    assert marks(page)


def test_what_the_service_refuses_is_said_in_its_words(open_page, serve, toy):
    page = open_page(serve(toy, body=100), is_clean=False)
    page.wait_for_selector(".example")
    page.fill("#text", "fever " * 100)
    page.wait_for_selector("#alert:not([hidden])")
    assert "larger than 100 bytes" in page.inner_text("#alert")


def test_a_service_that_has_too_much_to_do_is_asked_again(open_page):
    page = open_page(is_clean=False)
    page.wait_for_selector(".example")
    # As the service answers while its queue is full, once.
    told = {"error": {"id": "a", "status": 503, "message": "Too many words wait."}}
    headers = {"Retry-After": "1"}
    full = {"status": 503, "headers": headers, "json": told}
    page.route("**/v1/annotate", lambda route: route.fulfill(**full), times=1)
    page.fill("#text", "Denies fever.")
    page.wait_for_selector("#alert:not([hidden])")
    assert "Too many words wait. The page tries again" in page.inner_text("#alert")
    tag(page, "fever").wait_for()
    assert page.is_hidden("#alert")


def test_a_note_that_the_model_fails_at_is_said(page):
    page.wait_for_selector(".example")
    page.fill("#text", "It breaks with fever.")
    page.wait_for_selector("#alert:not([hidden])")
    told = page.inner_text("#alert")
    assert "The model failed here" in told
    assert "fever" not in told


def test_a_service_that_is_gone_is_said_and_the_last_findings_stay(open_page):
    page = open_page(is_clean=False)
    write(page, NOTE)
    before = marks(page)
    page.route("**/v1/annotate", lambda route: route.abort())
    page.press("#text", "Control+End")
    page.keyboard.insert_text("Fever.")
    page.wait_for_selector("#alert:not([hidden])")
    assert "does not answer" in page.inner_text("#alert")
    assert marks(page) == before
    # But as what they are: of a text that stands there no more.
    assert "of the text before" in page.inner_text("#status")
    assert page.locator("#results.outdated").count() == 1
    assert page.evaluate("document.querySelector('#download').inert")
    page.unroute("**/v1/annotate")
    edit(page, 0, 0, "No fever. ")
    assert page.locator("#results.outdated").count() == 0
    assert not page.evaluate("document.querySelector('#download').inert")
    assert marks(page) == before + 2


def test_beside_a_note_that_is_refused_nothing_of_the_last_one_stands(page, tmp_path):
    def is_empty():
        page.wait_for_selector("#alert:not([hidden])")
        assert page.is_hidden("#note")
        assert page.is_hidden("#download")
        assert "shown" not in page.inner_text("#status")
        return True

    write(page, NOTE)
    tag(page, "fever").click()
    page.get_by_role("button", name="Delete this finding").click()
    page.fill("#text", "It breaks with fever.")
    assert is_empty()
    write(page, NOTE)
    path = tmp_path / "long.txt"
    path.write_text("fever " * 30_000)
    page.set_input_files("#file", path)
    assert is_empty()
    # While another note is read, nobody downloads the one before.
    write(page, NOTE)
    held = []
    page.route("**/v1/annotate", lambda route: held.append(route))
    with page.expect_request("**/v1/annotate"):
        page.fill("#text", "Chest pain.")
    assert page.evaluate("document.querySelector('#download').inert")
    held[0].continue_()
    tag(page, "Chest pain").wait_for()
    assert not page.evaluate("document.querySelector('#download').inert")


def test_files_of_the_page_are_asked_for_again_after_an_update(page, address):
    for name in ("", "app.js", "page.css", "marks.css"):
        answer = page.request.get(f"{address}{name}")
        assert answer.ok
        assert answer.headers["cache-control"] == "no-cache"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
