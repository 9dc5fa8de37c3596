"""Django REST framework with its token authentication, on Gunicorn: gunicorn server:application.

Tokens and users are in PostgreSQL. The users are Latchkey's table; the harness makes the table of tokens.
"""
import os
from urllib.parse import urlsplit

import django
from django.conf import settings

database = urlsplit(os.environ["DATABASE_URL"])
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": database.path.lstrip("/"),
            "USER": database.username,
            "PASSWORD": database.password,
            "HOST": database.hostname,
            "PORT": database.port,
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    ROOT_URLCONF="server",
    SECRET_KEY=os.urandom(32).hex(),
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.authentication import TokenAuthentication  # noqa: E402
from rest_framework.permissions import BasePermission, IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class User(models.Model):
    id = models.CharField(primary_key=True, max_length=40)
    username = models.TextField()
    email = models.TextField(null=True)
    name = models.TextField(null=True)
    roles = models.TextField()
    created_at = models.DateTimeField()
    is_authenticated = True
    is_active = True

    class Meta:
        app_label, managed, db_table = "server", False, "users"


class Token(models.Model):
    key = models.CharField(primary_key=True, max_length=40)
    user = models.ForeignKey(User, models.CASCADE)

    class Meta:
        app_label, managed, db_table = "server", False, "bench_tokens"


class Authentication(TokenAuthentication):
    model = Token


class IsAdministrator(BasePermission):
    def has_permission(self, request, view):
        return request.user is not None and "ADMIN" in request.user.roles


class Viewer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "username", "email"]


class Listed(serializers.ModelSerializer):
    createdAt = serializers.DateTimeField(source="created_at")

    class Meta:
        model = User
        fields = ["id", "username", "email", "name", "createdAt"]


class MeView(APIView):
    authentication_classes = [Authentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response(Viewer(request.user).data)


class UsersView(APIView):
    authentication_classes = [Authentication]
    permission_classes = [IsAdministrator]

    def get(self, request):
        return Response(Listed(User.objects.order_by("id")[:50], many=True).data)


urlpatterns = [path("me/", MeView.as_view()), path("users/", UsersView.as_view())]
application = get_wsgi_application()
