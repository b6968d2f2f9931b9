"""Three paid calls, by OpenAI's SDK as it is."""

import openai


def texts(course_id: int) -> list[str]:
    client = openai.OpenAI()
    return [
        client.responses.create(model="gpt-5", input=f"[{part}] of course {course_id}").output_text
        for part in ("one", "two", "three")
    ]
