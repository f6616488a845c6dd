"""``python -m celery_app.zygote``: the warden of one runner's zygote."""

from celery_app.zygote.warden import main

main()
